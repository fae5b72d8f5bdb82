"""F's job and VideoJob's spec: one from the other. Pure.

Of a spec that others have written too, only what F has a word for is touched.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from videofleet_api.outputs import RouterOutput
from videofleet_api.redaction import redact_url
from videofleet_api.source import SecretKeyRef, Source
from videofleet_api.videojob import VideoJobSpec
from videofleet_gateway.dialects.f import settings
from videofleet_gateway.dialects.f.settings import Settings
from videofleet_gateway.dialects.f.wanted import Wanted
from videofleet_gateway.jobs.secrets import source_with
from videofleet_gateway.jobs.urls import Address, is_secret

Spec = dict[str, Any]

HIDDEN: Final = "***"
"""An address of the router that its reader may not see."""
_GPU: Final = "stream_settings_gpu"
_CAMERA: Final = "cam_id"
"""Field of the router's form with the id of the job, which its name does not tell."""


@dataclass(frozen=True)
class Secrets:
    """What a job has in Secrets, as far as its reader may see it."""

    posted: str | None = field(default=None, repr=False)
    """Its address as it was posted."""
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    routers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Addresses of the router, by the names of the spec."""


@dataclass(frozen=True)
class Names:
    """Secrets that a spec is to name; None: what it names stays."""

    source: str | None = None
    headers: str | None = None
    router: str | None = None


def headers_secret(wanted: Wanted) -> dict[str, str] | None:
    """The headers that posts to the router carry; None where there are none."""
    given = wanted.stream_settings.get("router_headers") or []
    return settings.pairs(given) if wanted.has_router and given else None


def router_secret(wanted: Wanted) -> dict[str, str]:
    """The router's addresses that must not stand in a spec, by the names that they have there."""
    given = {"url": wanted.router_url, "eventsUrl": wanted.router_events_url}
    return {name: url for name, url in given.items() if url not in ("", HIDDEN) and is_secret(url)}


def read(spec: VideoJobSpec, secrets: Secrets, identifier: str | None = None) -> Wanted:
    """A VideoJob's spec in the words of F. `identifier`: that of a job that was made here."""
    extra = _extra(spec)
    gpu = extra.pop(_GPU, None)
    router = spec.outputs.router
    own = {} if router is None else _router_settings(router, secrets, identifier)
    own |= {"ffmpeg_params": settings.from_transport(spec.source.transport)}
    speed = spec.sampling.speed
    own |= {} if speed is None else {"play_speed": int(speed) if speed.is_integer() else speed}
    return Wanted(
        stream_url=secrets.posted or shown_source(spec.source),
        enabled=spec.enabled,
        single_pass=spec.single_pass,
        labels=spec.labels,
        router_url=_router_url("url", router.url, router.url_secret_ref, secrets) if router else "",
        router_events_url=(
            _router_url("eventsUrl", router.events_url, router.events_url_secret_ref, secrets) if router else ""
        ),
        stream_settings=settings.layered(settings.DEFAULTS, extra, own),
        stream_settings_gpu=gpu if isinstance(gpu, dict) else {},
    )


def shown_source(source: Source) -> str:
    """A source's address as everybody may see it; nothing where it stands in a Secret."""
    if source.url is not None:
        return redact_url(source.url)
    return redact_url(source.images[0]) if source.images else ""


def written(spec: Spec, wanted: Wanted, address: Address | None, names: Names, identifier: str | None = None) -> Spec:
    """The spec in its JSON form as F wants it. `address`: where that is another one than before; `identifier`: what
    the router is to call the job."""
    after = copy.deepcopy(spec)
    _set(after, "enabled", wanted.enabled, True)
    _set(after, "singlePass", wanted.single_pass, False)
    _set(after, "labels", dict(wanted.labels), {})
    if address is not None:
        after["source"] = source_with(after.get("source") or {}, address, names.source)
    _set(after["source"], "transport", settings.transport(wanted.stream_settings).value, "auto")
    sampling = {key: value for key, value in (after.pop("sampling", None) or {}).items() if key != "speed"}
    speed = settings.speed(wanted.stream_settings)
    sampling |= {} if speed is None else {"speed": speed}
    if sampling:
        after["sampling"] = sampling
    outputs = after.setdefault("outputs", {})
    outputs.pop("router", None)
    if wanted.has_router:
        before = (spec.get("outputs") or {}).get("router") or {}
        outputs["router"] = _written_router(before, wanted, names, identifier)
    if not outputs:
        del after["outputs"]
    extra = _written_extra(wanted)
    after.pop("streamSettings", None)
    if extra:
        after["streamSettings"] = {"extra": extra}
    return after


def merge_patch(before: Any, after: Mapping[str, Any]) -> dict[str, Any]:
    """What makes one object of the other (RFC 7396)."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(before[key], dict):
            if inner := merge_patch(before[key], value):
                patch[key] = inner
        elif before[key] != value:
            patch[key] = value
    return patch


def _written_addresses(before: Spec, wanted: Wanted, secret: str | None) -> Spec:
    """`secret` has those that must not stand here; None: as before."""
    found: Spec = {}
    kept = router_secret(wanted)
    for name, url in (("url", wanted.router_url), ("eventsUrl", wanted.router_events_url)):
        ref = f"{name}SecretRef"
        if name in kept and secret is not None:
            found[ref] = {"name": secret, "key": name}
        elif ref in before and (name in kept or url == HIDDEN):
            found[ref] = before[ref]
        elif url:
            # Others may have put here what belongs into a Secret.
            found[name] = url
    return found


def _written_router(before: Spec, wanted: Wanted, names: Names, identifier: str | None) -> Spec:
    given = wanted.stream_settings
    router: Spec = {
        "timeout": given["router_timeout_ms"] / 1000,
        "verifyTls": given["router_verify_ssl"],
    }
    router |= _written_addresses(before, wanted, names.router)
    body = {} if identifier is None else {_CAMERA: identifier}
    body |= settings.pairs(given.get("router_body") or [])
    if body:
        router["body"] = body
    if names.headers is not None:
        router["headersSecretRef"] = {"name": names.headers}
    elif given.get("router_headers") and "headersSecretRef" in before:
        router["headersSecretRef"] = before["headersSecretRef"]
    return router


def _written_extra(wanted: Wanted) -> dict[str, str]:
    """What nothing goes by, as JSON; where there is no router, what is said of it too, but for headers: they may hold
    a token, and there is nobody to send them to."""
    elsewhere = settings.EFFECTIVE if wanted.has_router else {"ffmpeg_params", "router_headers", "play_speed"}
    if settings.speed(wanted.stream_settings) is None:
        # Another word for the same as the default.
        elsewhere = elsewhere - {"play_speed"}
    kept = {
        key: value
        for key, value in wanted.stream_settings.items()
        if key not in elsewhere and value != settings.DEFAULTS.get(key)
    }
    kept |= {_GPU: wanted.stream_settings_gpu} if wanted.stream_settings_gpu else {}
    return {key: orjson.dumps(value).decode() for key, value in kept.items()}


def _extra(spec: VideoJobSpec) -> Settings:
    found: Settings = {}
    for key, text in (spec.stream_settings.extra if spec.stream_settings else {}).items():
        try:
            found[key] = orjson.loads(text)
        except orjson.JSONDecodeError:
            # Written by somebody else, who has no JSON in mind.
            found[key] = text
    return found


def _router_settings(router: RouterOutput, secrets: Secrets, identifier: str | None) -> Settings:
    headers: Sequence[str] = []
    told = _CAMERA, identifier
    if router.headers_secret_ref is not None:
        headers = settings.entries(secrets.headers) if secrets.headers is not None else ["*** = ***"]
    return {
        "router_timeout_ms": round(router.timeout * 1000),
        "router_verify_ssl": router.verify_tls,
        "router_headers": list(headers),
        "router_body": settings.entries({key: value for key, value in router.body.items() if (key, value) != told}),
    }


def _router_url(name: str, url: str | None, ref: SecretKeyRef | None, secrets: Secrets) -> str:
    return url or ("" if ref is None else secrets.routers.get(name, HIDDEN))


def _set(target: Spec, key: str, value: object, default: object) -> None:
    """Where the default is meant nothing is written that was not there."""
    if value != default or key in target:
        target[key] = value
