"""What a worker is given for a job."""

import base64
import hashlib
from collections.abc import Mapping

import orjson
import pytest

from tests.support.domain import spec
from videofleet_api.codes import Reason
from videofleet_operator.services import payload

KEY = payload.digest_key(b"the private key of an authority")
Secrets = Mapping[str, Mapping[str, str]]


def encoded(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


LOGIN = {"login": encoded(username="viewer", password="p/a:s@s")}
WITH_LOGIN = {"source": {"url": "rtsp://camera/1", "credentialsSecretRef": {"name": "login"}}}


def build(secrets: Secrets, **fields: object) -> payload.JobSpec:
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


def test_the_digest_changes_with_everything_that_a_worker_is_given() -> None:
    base = payload.digest(build(LOGIN, **WITH_LOGIN), KEY)
    assert payload.digest(build(LOGIN, **WITH_LOGIN), KEY) == base
    other_password = {"login": encoded(username="viewer", password="other")}
    others = [
        build(other_password, **WITH_LOGIN),
        build(LOGIN, **WITH_LOGIN, singlePass=True),
        build(LOGIN, **WITH_LOGIN, sampling={"mode": "fps", "value": 5}),
        build(LOGIN, **WITH_LOGIN, analytics=[{"steps": [{"model": "detect", "parameters": {"confidence": 0.9}}]}]),
        build(LOGIN, **WITH_LOGIN, restart={"reconnectWindow": 1}),
        build(LOGIN, **WITH_LOGIN, outputs={"archive": {"maxBytes": 1048576}}),
    ]
    assert len({base, *(payload.digest(other, KEY) for other in others)}) == 1 + len(others)


def test_a_digest_tells_nothing_to_who_lacks_the_key() -> None:
    """It stands in status: who may read jobs but not Secrets must not be able to try passwords on it."""
    built = build(LOGIN, **WITH_LOGIN)
    others = [payload.digest_key(b"another private key"), b"", b"the private key of an authority"]
    assert payload.digest(built, KEY) not in [payload.digest(built, key) for key in others]
    plain = hashlib.sha256(orjson.dumps(built.wire(), option=orjson.OPT_SORT_KEYS)).hexdigest()
    assert not plain.startswith(payload.digest(built, KEY))
    assert payload.digest_key(b"the private key of an authority") == KEY


def test_what_is_the_operators_own_business_is_not_in_the_digest() -> None:
    base = payload.digest(build(LOGIN, **WITH_LOGIN), KEY)
    same = build(LOGIN, **WITH_LOGIN, labels={"a": "b"}, priority=5, slots=3, restart={"maxAttempts": 3, "delay": 9})
    assert payload.digest(same, KEY) == base


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
