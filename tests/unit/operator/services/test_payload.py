"""What a worker is given for a job."""

import base64
from collections.abc import Mapping

import pytest

from tests.support.domain import spec
from videofleet_api.codes import Reason
from videofleet_api.protocol import JobSpec
from videofleet_api.source import Range, Rotation
from videofleet_operator.services import payload

KEY = payload.digest_key(b"the private key of an authority")
Secrets = Mapping[str, Mapping[str, str]]


def encoded(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


LOGIN = {"login": encoded(username="viewer", password="p/a:s@s")}
WITH_LOGIN = {"source": {"url": "rtsp://camera/1", "credentialsSecretRef": {"name": "login"}}}


def build(secrets: Secrets, **fields: object) -> JobSpec:
    return payload.build(spec(**fields), secrets.get)


def test_a_job_without_secrets_needs_none() -> None:
    plain = spec(singlePass=True, maxFrames=10, restart={"reconnectWindow": 7}, outputs={"archive": {"enabled": False}})
    built = payload.build(plain, {}.get)
    assert payload.secret_names(plain) == frozenset()
    assert (built.source.url, built.source.username, built.source.password) == ("rtsp://camera.example/1", None, None)
    assert (built.single_pass, built.max_frames, built.reconnect_window, built.archive_enabled) == (True, 10, 7, False)


def test_credentials_and_address_come_from_secrets() -> None:
    both = {
        "source": {"urlSecretRef": {"name": "address", "key": "where"}, "credentialsSecretRef": {"name": "login"}},
    }
    assert payload.secret_names(spec(**both)) == {"address", "login"}
    built = build({**LOGIN, "address": encoded(where="rtsp://camera/2\n")}, **both)
    assert (built.source.url, built.source.username, built.source.password) == ("rtsp://camera/2", "viewer", "p/a:s@s")


def test_borrowed_credentials_bring_their_token() -> None:
    source = {"source": {"url": "s3://clips/a.mp4", "credentialsSecretRef": {"name": "login"}}}
    borrowed = {"login": encoded(username="viewer", password="p", sessionToken="t0ken")}
    assert build(LOGIN, **source).source.session_token is None
    built = build(borrowed, **source)
    assert built.source.session_token == "t0ken"
    assert "t0ken" not in repr(built)


def test_pictures_are_a_source() -> None:
    images = ["https://files.example/a.jpg?token=x", "https://files.example/b.jpg"]
    built = build({}, source={"images": images})
    assert (built.source.url, built.source.images) == (images[0], images)
    assert payload.shown_source(spec(source={"images": images})) == "https://files.example/a.jpg?token=*** and 1 more"
    fewer = build({}, source={"images": images[:1]})
    assert payload.digests(built, KEY).run != payload.digests(fewer, KEY).run


def test_how_the_source_is_read_is_handed_on() -> None:
    source = {"url": "https://files.example/a.mp4", "rotation": "90"}
    built = build({}, source=source, range={"start": 1, "end": 2})
    assert (built.source.rotation, built.range) == (Rotation.RIGHT, Range(start=1, end=2))
    whole = build({}, source={**source, "rotation": "auto"})
    assert payload.digests(built, KEY).run != payload.digests(whole, KEY).run


HOOK = {"hook": encoded(key="s3cret"), "headers": encoded(Authorization="Bearer t\n", Accept="text/plain")}
WITH_HOOK = {"outputs": {"webhooks": [{"url": "https://hook/", "secretRef": {"name": "hook", "key": "key"}}]}}
WITH_ROUTER = {"outputs": {"router": {"url": "https://router/", "headersSecretRef": {"name": "headers"}}}}
BROKER = {"broker": encoded(username="camera", password="s3cret", **{"ca.crt": "-----BEGIN"})}
WITH_BROKER = {"outputs": {"mqtt": {"host": "broker", "credentialsSecretRef": {"name": "broker"}}}}


def test_a_broker_gets_what_its_secret_holds() -> None:
    assert payload.secret_names(spec(**WITH_BROKER)) == {"broker"}
    built = build(BROKER, **WITH_BROKER, labels={"site": "berlin"})
    mqtt = built.outputs.mqtt
    assert mqtt is not None
    assert (mqtt.username, mqtt.password, mqtt.ca, mqtt.port) == ("camera", "s3cret", "-----BEGIN", 1883)
    assert mqtt.topic == "videofleet/{namespace}/{name}/{event}"
    assert built.outputs.labels == {"site": "berlin"}
    assert "s3cret" not in repr(built)
    secure = build({}, outputs={"mqtt": {"host": "broker", "tls": True}}).outputs.mqtt
    assert secure is not None
    assert (secure.port, secure.username, secure.ca) == (8883, None, None)
    named = build({}, outputs={"mqtt": {"host": "broker", "port": 1}}).outputs.mqtt
    assert named is not None
    assert named.port == 1
    authority = build({"broker": encoded(**{"ca.crt": "x"})}, **WITH_BROKER).outputs.mqtt
    assert authority is not None
    assert (authority.username, authority.ca) == (None, "x"), "who it is may be all that has to be known"


def test_receivers_get_what_secrets_hold() -> None:
    assert payload.secret_names(spec(**WITH_HOOK)) == {"hook"}
    assert payload.secret_names(spec(**WITH_ROUTER)) == {"headers"}
    (webhook,) = build(HOOK, **WITH_HOOK).outputs.webhooks
    assert (webhook.url, webhook.secret) == ("https://hook/", "s3cret")
    outputs = build(HOOK, **WITH_ROUTER, labels={"site": "berlin"}).outputs
    assert outputs.router is not None
    assert outputs.router.headers == {"Authorization": "Bearer t", "Accept": "text/plain"}
    assert outputs.labels == {"site": "berlin"}
    assert "s3cret" not in repr(build(HOOK, **WITH_HOOK))
    assert "Bearer" not in repr(outputs)


ADDRESSES = {"router": encoded(url="https://me:s3cret@router/shots\n", events="https://router/?token=s3cret", x="x")}


def at_router(key: str) -> dict[str, object]:
    """A router whose address stands in a Secret."""
    return {"outputs": {"router": {"urlSecretRef": {"name": "router", "key": key}}}}


def test_addresses_of_a_router_may_stand_in_a_secret() -> None:
    refs = {"urlSecretRef": {"name": "router", "key": "url"}, "eventsUrlSecretRef": {"name": "router", "key": "events"}}
    fields = {"outputs": {"router": refs}}
    assert payload.secret_names(spec(**fields)) == {"router"}
    built = build(ADDRESSES, **fields)
    assert built.outputs.router is not None
    assert built.outputs.router.url == "https://me:s3cret@router/shots"
    assert built.outputs.router.events_url == "https://router/?token=s3cret"
    assert "s3cret" not in repr(built)


AT_HOOK = {"outputs": {"webhooks": [{"urlSecretRef": {"name": "chat", "key": "url"}}]}}


def test_the_address_of_a_webhook_may_stand_in_a_secret() -> None:
    assert payload.secret_names(spec(**AT_HOOK)) == {"chat"}
    built = build({"chat": encoded(url="https://chat.example/hooks/T0/s3cret\n")}, **AT_HOOK)
    assert [webhook.url for webhook in built.outputs.webhooks] == ["https://chat.example/hooks/T0/s3cret"]
    assert "s3cret" not in repr(built)


def test_a_webhook_without_an_address_is_no_spec() -> None:
    with pytest.raises(payload.MissingError, match=r"webhooks\[0\] has neither url nor urlSecretRef") as caught:
        build({}, outputs={"webhooks": [{"events": ["trackEnd"]}]})
    assert caught.value.why.reason is Reason.INVALID_SPEC


@pytest.mark.parametrize(
    ("secrets", "fields", "sentence"),
    [
        ({}, AT_HOOK, "Secret chat (spec.outputs.webhooks[0].urlSecretRef) is not in this namespace or not readable"),
        ({"chat": {}}, AT_HOOK, "Secret chat (spec.outputs.webhooks[0].urlSecretRef) has no key url: add it"),
        (
            {"chat": encoded(url="chat.example")},
            AT_HOOK,
            "Secret chat (spec.outputs.webhooks[0].urlSecretRef): the value of key url is no address: write it as",
        ),
        ({}, at_router("url"), "Secret router (spec.outputs.router.urlSecretRef) is not in this namespace"),
        (ADDRESSES, at_router("none"), "Secret router (spec.outputs.router.urlSecretRef) has no key none: add it"),
        (
            ADDRESSES,
            at_router("x"),
            "Secret router (spec.outputs.router.urlSecretRef): the value of key x is no address: write it as https",
        ),
        ({}, WITH_HOOK, "Secret hook (spec.outputs.webhooks[0].secretRef) is not in this namespace or not readable"),
        ({}, WITH_BROKER, "Secret broker (spec.outputs.mqtt.credentialsSecretRef) is not in this namespace or not"),
        ({"broker": {}}, WITH_BROKER, "Secret broker (spec.outputs.mqtt.credentialsSecretRef) has no key username"),
        ({"hook": {}}, WITH_HOOK, "Secret hook (spec.outputs.webhooks[0].secretRef) has no key key: add it"),
        ({}, WITH_ROUTER, "Secret headers (spec.outputs.router.headersSecretRef) is not in this namespace"),
        (
            {"headers": encoded(X="a\r\nY: b")},
            WITH_ROUTER,
            "Secret headers (spec.outputs.router.headersSecretRef): the value of key X holds a line break",
        ),
    ],
)
def test_what_receivers_need_and_is_not_there_is_named(
    secrets: Secrets, fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(payload.MissingError) as caught:
        build(secrets, **fields)
    assert caught.value.why.reason is Reason.SECRET_MISSING
    assert caught.value.why.message.startswith(sentence)


@pytest.mark.parametrize(
    ("secrets", "sentence"),
    [
        ({}, "Secret login (spec.source.credentialsSecretRef) is not in this namespace or not readable: create it"),
        ({"login": encoded(username="viewer")}, "Secret login (spec.source.credentialsSecretRef) has no key password"),
        ({"login": {**LOGIN["login"], "password": "not base64!"}}, "Secret login: the value of key password is not"),
        ({"login": {**LOGIN["login"], "password": "/w=="}}, "Secret login: the value of key password is not UTF-8"),
    ],
)
def test_what_is_missing_is_named(secrets: Secrets, sentence: str) -> None:
    with pytest.raises(payload.MissingError) as caught:
        build(secrets, **WITH_LOGIN)
    assert caught.value.why.reason is Reason.SECRET_MISSING
    assert caught.value.why.message.startswith(sentence)


def test_a_source_without_any_address_is_the_specs_fault() -> None:
    with pytest.raises(payload.MissingError) as caught:
        build({}, source={})
    assert caught.value.why.reason is Reason.INVALID_SPEC


def detect(**parameters: object) -> dict[str, object]:
    """Fields of a spec with one detection."""
    return {"analytics": [{"steps": [{"model": "detect", "parameters": parameters}]}]}


_CORNERS = [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]
ZONE = {"name": "door", "polygon": _CORNERS}
LINE = {"name": "gate", "from": {"x": 0, "y": 0}, "to": {"x": 1, "y": 1}}
MASK = {"polygon": _CORNERS}
LATER_URL = {"url": encoded(url="rtsp://viewer:new@camera/1?token=new")}
IN_SECRET = {"source": {"urlSecretRef": {"name": "url", "key": "url"}}}


@pytest.mark.parametrize(
    ("one", "other", "changed"),
    [
        pytest.param(
            build(LOGIN, **WITH_LOGIN),
            build({"login": encoded(username="viewer", password="other")}, **WITH_LOGIN),
            ("spec",),
            id="a new password",
        ),
        pytest.param(
            build({"url": encoded(url="rtsp://viewer:old@camera/1?token=old")}, **IN_SECRET),
            build(LATER_URL, **IN_SECRET),
            ("spec",),
            id="a new password in the address",
        ),
        pytest.param(
            build({"url": encoded(url="rtsp://viewer:new@camera/2?token=new")}, **IN_SECRET),
            build(LATER_URL, **IN_SECRET),
            ("spec", "run"),
            id="another camera in the Secret",
        ),
        pytest.param(build({}), build({}, restart={"reconnectWindow": 1}), ("spec",), id="reconnectWindow"),
        pytest.param(build({}), build({}, restart={"token": "again"}), ("spec", "run"), id="restart.token"),
        pytest.param(build({}), build({}, streamSettings={"extra": {"roi": '"1x1+0+0"'}}), (), id="what is only shown"),
        pytest.param(
            build({}),
            build({}, source={"url": "rtsp://camera.example/1", "transport": "udp"}),
            ("spec",),
            id="transport",
        ),
        pytest.param(build({}), build({}, singlePass=True), ("spec", "run"), id="singlePass"),
        pytest.param(build({}), build({}, maxFrames=5), ("spec", "run"), id="maxFrames"),
        pytest.param(build({}), build({}, sampling={"mode": "keyframe"}), ("spec", "run"), id="sampling"),
        pytest.param(
            build({}), build({}, outputs={"archive": {"enabled": False}}), ("spec", "run"), id="where results go"
        ),
        pytest.param(
            build({}),
            build({}, analytics=[{"steps": [{"model": "detect"}, {"model": "track"}]}]),
            ("spec", "run", "settings"),
            id="a step more",
        ),
        pytest.param(build({}), build({}, **detect(confidence=0.9)), ("settings",), id="confidence"),
        pytest.param(build({}), build({}, **detect(iou=0.9)), ("settings",), id="iou"),
        pytest.param(build({}), build({}, **detect(classes=["person"])), ("settings",), id="classes"),
        pytest.param(
            build({}), build({}, outputs={"archive": {"maxBytes": 1048576}}), ("settings",), id="archive.maxBytes"
        ),
        pytest.param(
            build({}), build({}, outputs={"archive": {"retention": 3600}}), ("settings",), id="archive.retention"
        ),
        pytest.param(
            build({}), build({}, outputs={"archive": {"detail": "events"}}), ("spec", "run"), id="archive.detail"
        ),
        pytest.param(
            build({}), build({}, outputs={"archive": {"deletionPolicy": "Delete"}}), (), id="archive.deletionPolicy"
        ),
        pytest.param(build({}), build(HOOK, **WITH_HOOK), ("settings",), id="a webhook"),
        pytest.param(build({}), build(BROKER, **WITH_BROKER), ("settings",), id="a broker"),
        pytest.param(
            build(HOOK, **WITH_HOOK),
            build({**HOOK, "hook": encoded(key="other")}, **WITH_HOOK),
            ("settings",),
            id="another key for signatures",
        ),
        pytest.param(
            build(HOOK, **WITH_ROUTER), build(HOOK, **WITH_ROUTER, labels={"a": "b"}), ("settings",), id="told"
        ),
        pytest.param(build({}), build({}, labels={"a": "b"}), (), id="labels that nobody is told"),
        pytest.param(build({}), build({}, zones=[ZONE]), ("settings",), id="a zone"),
        pytest.param(build({}, zones=[ZONE]), build({}, zones=[ZONE | {"minDwell": 3}]), ("settings",), id="minDwell"),
        pytest.param(build({}), build({}, lines=[LINE]), ("settings",), id="a line"),
        pytest.param(
            build({}, lines=[LINE]), build({}, lines=[LINE | {"direction": "leftToRight"}]), ("settings",), id="way"
        ),
        pytest.param(build({}), build({}, privacyMasks=[MASK]), ("settings",), id="a mask"),
        pytest.param(
            build({}, privacyMasks=[MASK]), build({}, privacyMasks=[MASK | {"mode": "blur"}]), ("settings",), id="mode"
        ),
        pytest.param(build({}), build({}, zones=[], lines=[], privacyMasks=[]), (), id="no zones, in so many words"),
        pytest.param(build({}), build({}, **detect()), (), id="parameters without any"),
        pytest.param(
            build({}, analytics=[{"steps": [{"model": "detect"}, {"model": "face"}]}]),
            build({}, analytics=[{"steps": [{"model": "detect"}, {"model": "face", "when": {"classIs": ["person"]}}]}]),
            ("settings",),
            id="when",
        ),
        pytest.param(
            build({}, analytics=[{"steps": [{"model": "detect"}]}]),
            build({}, analytics=[{"steps": [{"model": "detect"}], "results": {"classNames": {"person": "walker"}}}]),
            ("spec", "run"),
            id="the words of results",
        ),
        pytest.param(
            build({}),
            build({}, labels={"a": "b"}, priority=5, slots=3, restart={"maxAttempts": 3, "delay": 9}),
            (),
            id="what is the operator's own business",
        ),
    ],
)
def test_what_an_edit_changes(one: JobSpec, other: JobSpec, changed: tuple[str, ...]) -> None:
    before, after = payload.digests(one, KEY), payload.digests(other, KEY)
    assert {name for name in ("spec", "run", "settings") if getattr(before, name) != getattr(after, name)} == {*changed}
    assert payload.digests(one, KEY) == before


def test_a_digest_tells_nothing_to_who_lacks_the_key() -> None:
    """It stands in status: who may read jobs but not Secrets must not be able to try passwords on it."""
    built = build(LOGIN, **WITH_LOGIN)
    others = [payload.digest_key(b"another private key"), b"", b"the private key of an authority"]
    mine = payload.digests(built, KEY)
    assert mine.spec not in [payload.digests(built, key).spec for key in others]
    assert payload.digest_key(b"the private key of an authority") == KEY


def test_a_password_shows_in_no_representation() -> None:
    built = build(LOGIN, **WITH_LOGIN)
    assert "p/a:s@s" not in repr(built)
    assert "viewer" not in repr(built)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ({"url": "rtsp://camera/1?token=abc&x=1"}, "rtsp://camera/1?token=***&x=1"),
        ({"urlSecretRef": {"name": "address", "key": "url"}}, "(from Secret address)"),
        ({}, ""),
    ],
)
def test_a_source_is_shown_without_credentials(source: dict[str, object], shown: str) -> None:
    assert payload.shown_source(spec(source=source)) == shown
