"""What a worker is given for a job, from the job's spec and the Secrets it names."""

import base64
import binascii
import hashlib
import hmac
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from videofleet_api.codes import Reason
from videofleet_api.outputs import DeletionPolicy, Mqtt, RouterOutput, Webhook
from videofleet_api.protocol import JobSource, JobSpec
from videofleet_api.redaction import redact_url
from videofleet_api.source import SecretKeyRef, SecretRef, Source
from videofleet_api.steps import Analytics, Step, StepParameters, When
from videofleet_api.targets import JobOutputs, MqttTarget, RouterTarget, WebhookTarget
from videofleet_api.videojob import VideoJobSpec
from videofleet_operator.domain.model import Why

SecretData = Mapping[str, str]
"""The `data` of a Secret: base64 by key."""
ReadSecret = Callable[[str], SecretData | None]
"""Data of a Secret of the job's namespace by its name; None while it is not there."""

_REGIONS = ("zones", "lines", "privacyMasks")
_SETTINGS = (*_REGIONS, "outputs")
_USER, _PASSWORD, _SESSION, _AUTHORITY = "username", "password", "sessionToken", "ca.crt"
_MQTT_PORT, _MQTTS_PORT = 1883, 8883


class MissingError(Exception):
    """Something that the job needs is not there (yet)."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.message)
        self.why = why


def secret_names(spec: VideoJobSpec) -> frozenset[str]:
    """The Secrets that a job needs."""
    router = spec.outputs.router
    refs: tuple[SecretRef | None, ...] = (
        spec.source.url_secret_ref,
        spec.source.credentials_secret_ref,
        *((router.headers_secret_ref, router.url_secret_ref, router.events_url_secret_ref) if router else ()),
        spec.outputs.mqtt.credentials_secret_ref if spec.outputs.mqtt else None,
        *(ref for webhook in spec.outputs.webhooks for ref in (webhook.secret_ref, webhook.url_secret_ref)),
    )
    return frozenset(ref.name for ref in refs if ref is not None)


def build(spec: VideoJobSpec, read_secret: ReadSecret) -> JobSpec:
    """The worker's part of a job.

    Raises MissingError with a reason when a Secret or a key in it is missing.
    """
    return JobSpec(
        source=source_of(spec.source, read_secret),
        sampling=spec.sampling,
        range=spec.range,
        max_frames=spec.max_frames,
        analytics=spec.analytics,
        zones=spec.zones,
        lines=spec.lines,
        privacy_masks=spec.privacy_masks,
        single_pass=spec.single_pass,
        reconnect_window=spec.restart.reconnect_window,
        restart_token=spec.restart.token,
        archive_enabled=spec.outputs.archive.enabled,
        archive_detail=spec.outputs.archive.detail,
        archive_max_bytes=spec.outputs.archive.max_bytes,
        archive_retention=spec.outputs.archive.retention,
        archive_deletes=spec.outputs.archive.deletion_policy is DeletionPolicy.DELETE or None,
        outputs=_outputs(spec, read_secret),
    )


@dataclass(frozen=True, slots=True)
class Digests:
    """HMAC-SHA256 (RFC 2104) of three parts of a payload.

    They stand in status, where many may read them: without a key a weak password could be guessed from them.
    """

    spec: str
    """All but the settings; another one is another epoch."""
    run: str
    """What is analysed, without how it is reached: another one is another run."""
    settings: str
    """What is changed while a stream runs."""


def digests(payload: JobSpec, key: bytes) -> Digests:
    """The digests of a payload."""
    whole = payload.wire()
    settings = {
        "parameters": [[_wire(step.parameters) for step in each.steps] for each in payload.analytics],
        "when": [[_wire(step.when) for step in each.steps] for each in payload.analytics],
        "archiveMaxBytes": payload.archive_max_bytes,
        **({} if payload.archive_retention is None else {"archiveRetention": payload.archive_retention}),
        **{name: regions for name in _REGIONS if (regions := whole[name])},
        **({"outputs": whole["outputs"]} if payload.outputs != JobOutputs() else {}),
    }
    bare = [
        Analytics(name=each.name, steps=[Step(model=step.model) for step in each.steps], results=each.results)
        for each in payload.analytics
    ]
    # What becomes of the results one day makes no difference to a worker that writes them.
    kept = {"archive_max_bytes": None, "archive_retention": None, "archive_deletes": None}
    bare_payload = payload.model_copy(update={"analytics": bare, **kept})
    rest = {name: value for name, value in bare_payload.wire().items() if name not in _SETTINGS}
    run: dict[str, Any] = {key: value for key, value in rest.items() if key not in ("source", "reconnectWindow")}
    # A new password, also one in the address, is no other source.
    source = {
        "url": redact_url(payload.source.url),
        "kind": payload.source.kind.value,
        "rotation": payload.source.rotation.value,
        "images": [redact_url(each) for each in payload.source.images],
    }
    return Digests(_digest(rest, key), _digest(run | {"source": source}, key), sys.intern(_digest(settings, key)))


def _wire(part: StepParameters | When | None) -> dict[str, object]:
    return part.wire() if part else {}


def _digest(document: object, key: bytes) -> str:
    return hmac.new(key, orjson.dumps(document, option=orjson.OPT_SORT_KEYS), hashlib.sha256).hexdigest()[:32]


def digest_key(private_key: bytes) -> bytes:
    """The key of digests, 32 bytes, from the private key that all replicas share."""
    return hashlib.sha256(b"videofleet spec digest" + private_key).digest()


def shown_source(spec: VideoJobSpec) -> str:
    """The source as people may see it."""
    if spec.source.url is not None:
        return redact_url(spec.source.url)
    if spec.source.images:
        return f"{redact_url(spec.source.images[0])} and {len(spec.source.images) - 1} more"
    ref = spec.source.url_secret_ref
    return f"(from Secret {ref.name})" if ref else ""


def source_of(source: Source, read_secret: ReadSecret) -> JobSource:
    """A source with what is needed to open it. Raises MissingError."""
    credentials = source.credentials_secret_ref
    username = password = session_token = None
    if credentials is not None:
        username = _value(read_secret, SecretKeyRef(name=credentials.name, key=_USER), "source.credentialsSecretRef")
        password = _value(
            read_secret, SecretKeyRef(name=credentials.name, key=_PASSWORD), "source.credentialsSecretRef"
        )
        session_token = _optional(
            read_secret, SecretKeyRef(name=credentials.name, key=_SESSION), "source.credentialsSecretRef"
        )
    url = source.url
    if source.url_secret_ref is not None:
        url = _value(read_secret, source.url_secret_ref, "source.urlSecretRef").strip()
    if source.images:
        url = source.images[0]
    if url is None:
        raise MissingError(
            Why(Reason.INVALID_SPEC, "spec.source has neither url nor urlSecretRef nor images: give one of them")
        )
    return JobSource(
        url=url,
        username=username,
        password=password,
        session_token=session_token,
        transport=source.transport,
        kind=source.kind,
        images=source.images or [],
        rotation=source.rotation,
    )


def _optional(read_secret: ReadSecret, ref: SecretKeyRef, field: str) -> str | None:
    """As `_value`, None where the Secret has no such key."""
    return _value(read_secret, ref, field) if ref.key in (read_secret(ref.name) or {}) else None


def _outputs(spec: VideoJobSpec, read_secret: ReadSecret) -> JobOutputs:
    outputs = spec.outputs
    if outputs.router is None and not outputs.webhooks and outputs.mqtt is None:
        # Labels that nobody is told are no settings.
        return JobOutputs()
    webhooks = [_webhook(one, f"outputs.webhooks[{at}]", read_secret) for at, one in enumerate(outputs.webhooks)]
    router = _router(outputs.router, read_secret) if outputs.router is not None else None
    mqtt = _mqtt(outputs.mqtt, read_secret) if outputs.mqtt is not None else None
    return JobOutputs(router=router, webhooks=webhooks, mqtt=mqtt, labels=spec.labels)


def _router(router: RouterOutput, read_secret: ReadSecret) -> RouterTarget:
    ref = router.headers_secret_ref
    return RouterTarget(
        url=_posted_to(router.url, router.url_secret_ref, "outputs.router.urlSecretRef", read_secret),
        events_url=_posted_to(
            router.events_url, router.events_url_secret_ref, "outputs.router.eventsUrlSecretRef", read_secret
        ),
        timeout=router.timeout,
        verify_tls=router.verify_tls,
        headers=_headers(ref.name, read_secret) if ref is not None else {},
        body=router.body,
    )


def _posted_to(url: str | None, ref: SecretKeyRef | None, field: str, read_secret: ReadSecret) -> str | None:
    """An address that results are posted to, which may stand in a Secret."""
    if ref is None:
        return url
    # Written with an editor, it ends with a line break.
    found = _value(read_secret, ref, field).strip()
    if not found.startswith(("http://", "https://")) or not found.isprintable() or " " in found:
        message = f"Secret {ref.name} (spec.{field}): the value of key {ref.key} is no address"
        raise MissingError(Why(Reason.SECRET_MISSING, f"{message}: write it as https://HOST/PATH"))
    return found


def _headers(secret: str, read_secret: ReadSecret) -> dict[str, str]:
    """The keys and values of a Secret as headers."""
    field = "outputs.router.headersSecretRef"
    names = sorted(_data(read_secret, secret, field))
    # Written with an editor, a value ends with a line break.
    values = {name: _value(read_secret, SecretKeyRef(name=secret, key=name), field).strip() for name in names}
    for name, value in values.items():
        if not value.isprintable():
            message = f"Secret {secret} (spec.{field}): the value of key {name} holds a line break or another character"
            raise MissingError(Why(Reason.SECRET_MISSING, f"{message} that no header may have"))
    return values


def _webhook(webhook: Webhook, field: str, read_secret: ReadSecret) -> WebhookTarget:
    ref = webhook.secret_ref
    url = _posted_to(webhook.url, webhook.url_secret_ref, f"{field}.urlSecretRef", read_secret)
    if url is None:
        raise MissingError(Why(Reason.INVALID_SPEC, f"spec.{field} has neither url nor urlSecretRef: give one of them"))
    return WebhookTarget(
        url=url,
        secret=_value(read_secret, ref, f"{field}.secretRef") if ref is not None else None,
        interval=webhook.interval,
        include_best_shots=webhook.include_best_shots,
        events=webhook.events,
    )


def _mqtt(mqtt: Mqtt, read_secret: ReadSecret) -> MqttTarget:
    ref, field = mqtt.credentials_secret_ref, "outputs.mqtt.credentialsSecretRef"
    found: dict[str, str | None] = {}
    if ref is not None:
        for name in (_USER, _PASSWORD, _AUTHORITY):
            found[name] = _optional(read_secret, SecretKeyRef(name=ref.name, key=name), field)
        if found[_USER] is None and found[_AUTHORITY] is None:
            # Says what is missing where the Secret itself is.
            _value(read_secret, SecretKeyRef(name=ref.name, key=_USER), field)
    return MqttTarget(
        host=mqtt.host,
        port=mqtt.port or (_MQTTS_PORT if mqtt.tls else _MQTT_PORT),
        tls=mqtt.tls,
        verify_tls=mqtt.verify_tls,
        ca=found.get(_AUTHORITY),
        username=found.get(_USER),
        password=found.get(_PASSWORD),
        topic=mqtt.topic,
        qos=mqtt.qos,
        interval=mqtt.interval,
        include_best_shots=mqtt.include_best_shots,
        events=mqtt.events,
    )


def _data(read_secret: ReadSecret, name: str, field: str) -> SecretData:
    data = read_secret(name)
    if data is None:
        raise MissingError(
            Why(
                Reason.SECRET_MISSING,
                f"Secret {name} (spec.{field}) is not in this namespace or not readable: create it",
            )
        )
    return data


def _value(read_secret: ReadSecret, ref: SecretKeyRef, field: str) -> str:
    data = _data(read_secret, ref.name, field)
    if ref.key not in data:
        raise MissingError(Why(Reason.SECRET_MISSING, f"Secret {ref.name} (spec.{field}) has no key {ref.key}: add it"))
    try:
        return base64.b64decode(data[ref.key], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise MissingError(
            Why(Reason.SECRET_MISSING, f"Secret {ref.name}: the value of key {ref.key} is not UTF-8 text")
        ) from None
