"""Verifying a licence, and what follows from it."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.domain import NOW, job, record, snapshot
from tests.support.signed_licences import public_pem, sign
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_api.videolicense import LicenseDocument
from videofleet_operator.domain.licence import (
    Unusable,
    Validity,
    holds_slot,
    last_shed,
    next_change,
    public_keys,
    refusal,
    state,
    to_shed,
    validity,
    verify,
)
from videofleet_operator.domain.model import Licence, Why
from videofleet_operator.domain.times import parse_time

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = public_keys(public_pem(KEY))


def tampered(**fields: Any) -> bytes:
    envelope = json.loads(sign(KEY))
    payload = json.loads(base64.b64decode(envelope["payload"])) | fields
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("named", [True, False], ids=["with key id", "without key id"])
def test_a_signed_licence_is_read(named: bool) -> None:
    document = verify(sign(KEY, named=named), KEYS)
    assert isinstance(document, LicenseDocument)
    assert (document.licensee, document.max_streams) == ("ACME", 5)


def test_any_installed_key_counts() -> None:
    both = public_keys(public_pem(OTHER) + b"\n" + public_pem(KEY))
    assert isinstance(verify(sign(KEY), both), LicenseDocument)


@pytest.mark.parametrize(
    ("signed", "part"),
    [
        (tampered(maxStreams=5000), "does not belong"),
        (sign(OTHER), "has the id"),
        (sign(OTHER, named=False), "does not belong"),
        (b"", "does not hold a signed licence"),
        (b"[]", "does not hold a signed licence"),
        (b"\xff\xfe", "does not hold a signed licence"),
        (b'{"payload": "!", "signature": "!"}', "does not hold a signed licence"),
        (b'{"payload": 1, "signature": null}', "does not hold a signed licence"),
        (b"[" * 100_000, "does not hold a signed licence"),
        (sign(KEY, maxStreams=None), "maxStreams"),
        (sign(KEY, maxStreams=-1), "maxStreams"),
        (sign(KEY, expires="tomorrow"), "'tomorrow' is not an RFC 3339 time"),
        (sign(KEY, expires="2030-01-01T00:00:00"), "lacks a time zone"),
    ],
)
def test_what_cannot_be_trusted_says_why(signed: bytes, part: str) -> None:
    result = verify(signed, KEYS)
    assert isinstance(result, Unusable)
    assert result.validity is Validity.BAD_SIGNATURE
    assert part in result.message


@pytest.mark.parametrize(
    ("pem", "part"),
    [
        (b"", "no PEM block"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not readable"),
        (
            X25519PrivateKey.from_private_bytes(bytes(32))
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "not an Ed25519 key",
        ),
    ],
)
def test_public_keys_that_are_none(pem: bytes, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        public_keys(pem)


@pytest.mark.parametrize(
    ("now", "wrong", "change"),
    [
        ("2025-12-31T23:59:59Z", Validity.NOT_YET_VALID, "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", None, "2030-01-01T00:00:00Z"),
        ("2029-12-31T23:59:59Z", None, "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00Z", Validity.EXPIRED, None),
    ],
)
def test_the_time_decides(now: str, wrong: Validity | None, change: str | None) -> None:
    document, time = verify(sign(KEY), KEYS), parse_time(now)
    found = validity(document, time)
    assert (found and found.validity) == wrong
    licence = state(document, time)
    assert licence.limit == 5
    assert (licence.problem is None) == (wrong is None)
    assert next_change(document, time) == (change and parse_time(change))


def test_an_unusable_licence_lets_nothing_start() -> None:
    licence = state(Unusable(Validity.MISSING, "Secret a/b is not there"), NOW)
    assert licence.problem == Why(Reason.LICENCE_INVALID, "Secret a/b is not there")
    assert refusal(licence, 0) == licence.problem


@pytest.mark.parametrize(("used", "refused"), [(4, False), (5, True), (6, True)])
def test_a_slot_for_each_stream(used: int, refused: bool) -> None:
    why = refusal(Licence(5), used)
    assert (why is not None) == refused
    assert refusal(Licence(), used) is None
    if why:
        assert why.message == f"licence: {used} of 5 streams are in use"


@pytest.mark.parametrize("phase", list(Phase))
def test_who_holds_a_slot(phase: Phase) -> None:
    assert holds_slot(record(phase)) == (phase in ("STARTING", "INPROGRESS", "DISCONNECTED"))


class TestShedding:
    running = record(Phase.INPROGRESS)

    def test_the_newest_of_the_lowest_priority_gives_way(self) -> None:
        jobs = [
            job("old", self.running, created=NOW - 90),
            job("new", self.running, created=NOW - 10),
            job("precious", self.running, created=NOW - 5, priority=1),
        ]
        chosen = to_shed(snapshot(jobs, licence=Licence(2)), None)
        assert chosen is jobs[1]

    @pytest.mark.parametrize(
        "licence", [Licence(), Licence(2), Licence(1, Why(Reason.LICENCE_INVALID, "expired"))], ids=repr
    )
    def test_nothing_gives_way(self, licence: Licence) -> None:
        jobs = [job("a", self.running), job("b", self.running)]
        assert to_shed(snapshot(jobs, licence=licence), None) is None

    def test_one_a_second(self) -> None:
        shed = record(Phase.TOO_MANY_CAMERAS, reason=Reason.SHED, since=NOW - 0.5)
        now = snapshot([job("a", self.running), job("b", self.running), job("c", shed)], licence=Licence(1))
        assert last_shed(now) == NOW - 0.5
        assert to_shed(now, NOW - 0.5) is None
        assert to_shed(now, NOW - 1) is not None

    def test_a_lost_stream_counts_but_cannot_give_way(self) -> None:
        lost = record(Phase.DISCONNECTED)
        jobs = [job("a", lost, created=NOW), job("b", self.running)]
        assert to_shed(snapshot(jobs, licence=Licence(1)), None) is jobs[1]
        assert to_shed(snapshot(jobs[:1], licence=Licence(0)), None) is None
