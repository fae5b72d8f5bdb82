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
from videofleet_api.licence_file import Standing, Validity
from videofleet_api.phases import Phase
from videofleet_api.videolicense import LicenseDocument
from videofleet_operator.domain.licence import (
    ROLLBACK_TOLERANCE,
    holds_slot,
    last_shed,
    next_change,
    public_keys,
    recorded,
    refusal,
    standing,
    state,
    to_shed,
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
        (b"", "holds no signed licence"),
        (b"[]", "holds no signed licence"),
        (b"\xff\xfe", "holds no signed licence"),
        (b'{"payload": "!", "signature": "!"}', "holds no signed licence"),
        (b'{"payload": 1, "signature": null}', "holds no signed licence"),
        (b"[" * 100_000, "holds no signed licence"),
        (sign(KEY, maxStreams=None), "maxStreams"),
        (sign(KEY, maxStreams=-1), "maxStreams"),
        (sign(KEY, expires="tomorrow"), "'tomorrow' is not an RFC 3339 time"),
        (sign(KEY, expires="2030-01-01T00:00:00"), "lacks a time zone"),
    ],
)
def test_what_cannot_be_trusted_says_why(signed: bytes, part: str) -> None:
    result = verify(signed, KEYS)
    assert isinstance(result, Standing)
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
    ("now", "found", "change"),
    [
        ("2025-12-31T23:59:59Z", Validity.NOT_YET_VALID, "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", Validity.VERIFIED, "2030-01-01T00:00:00Z"),
        ("2029-12-31T23:59:59Z", Validity.VERIFIED, "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00Z", Validity.IN_GRACE_PERIOD, "2030-01-08T00:00:00Z"),
        ("2030-01-07T23:59:59Z", Validity.IN_GRACE_PERIOD, "2030-01-08T00:00:00Z"),
        ("2030-01-08T00:00:00Z", Validity.EXPIRED, None),
    ],
)
def test_the_time_decides(now: str, found: Validity, change: str | None) -> None:
    document, time = verify(sign(KEY, graceDays=7), KEYS), parse_time(now)
    assert standing(document, time).validity is found
    licence = state(document, time)
    assert licence.limit == 5
    assert (licence.problem is None) == (found in (Validity.VERIFIED, Validity.IN_GRACE_PERIOD))
    assert next_change(document, time) == (change and parse_time(change))


def test_without_days_of_grace_the_end_is_the_end() -> None:
    document, end = verify(sign(KEY), KEYS), parse_time("2030-01-01T00:00:00Z")
    assert standing(document, end).validity is Validity.EXPIRED
    assert next_change(document, end) is None


class TestAClockThatWasSetBack:
    document = verify(sign(KEY), KEYS)
    seen = parse_time("2029-01-01T00:00:00Z")
    """The newest renewal of the Lease."""

    def test_nothing_starts(self) -> None:
        found = standing(self.document, self.seen - 3600, self.seen)
        assert found.validity is Validity.CLOCK_ROLLED_BACK
        assert "renewed at 2029-01-01T00:00:00.000000Z" in found.message
        licence = state(self.document, self.seen - 3600, self.seen)
        assert licence.problem == Why(Reason.LICENCE_INVALID, found.message)

    def test_it_heals_when_the_clock_is_right_again(self) -> None:
        assert standing(self.document, self.seen - ROLLBACK_TOLERANCE, self.seen).validity is Validity.VERIFIED
        assert standing(self.document, self.seen + 1, self.seen).validity is Validity.VERIFIED

    def test_clocks_of_two_replicas_may_differ_a_little(self) -> None:
        assert standing(self.document, self.seen - 5, self.seen).usable

    def test_an_expired_licence_is_not_mended_by_it(self) -> None:
        end = parse_time("2030-01-01T00:00:00Z")
        assert not standing(self.document, end - 7200, end + 3600).usable

    def test_the_words_stay_while_the_lease_is_renewed(self) -> None:
        """Each other message would be another write of the status."""
        sooner, later = (standing(self.document, self.seen - 3600, self.seen + step) for step in (0.1, 0.100001))
        assert sooner == later


def test_an_unusable_licence_lets_nothing_start() -> None:
    licence = state(Standing(Validity.MISSING, "Secret a/b is not there"), NOW)
    assert licence.problem == Why(Reason.LICENCE_INVALID, "Secret a/b is not there")
    assert refusal(licence, job(), 0) == licence.problem


@pytest.mark.parametrize(("used", "refused"), [(4, False), (5, True), (6, True)])
def test_a_slot_for_each_stream(used: int, refused: bool) -> None:
    why = refusal(Licence(5), job(), used)
    assert (why is not None) == refused
    assert refusal(Licence(), job(), used) is None
    if why:
        assert why.message == f"licence: {used} of 5 streams are in use"


@pytest.mark.parametrize("phase", list(Phase))
def test_who_holds_a_slot(phase: Phase) -> None:
    assert holds_slot(job(), record(phase), Licence()) == (phase in ("STARTING", "INPROGRESS", "DISCONNECTED"))


@pytest.mark.parametrize(
    ("source", "is_recorded"),
    [
        ({"url": "rtsp://camera.example/1"}, False),
        ({"url": "rtsp://camera.example/1", "kind": "recorded"}, False),
        ({"url": "https://files.example/clip.mp4"}, True),
        ({"url": "file:///media/clips/a.mp4"}, True),
        ({"url": "s3://bucket/clips/a.mp4?region=eu-west-1"}, True),
        ({"url": "udp://239.1.2.3:5000"}, False),
        ({"images": ["https://files.example/a.jpg"]}, True),
        ({"url": "https://files.example/clip.mp4", "kind": "live"}, False),
        ({"url": "https://cdn.example/playlist.M3U8?token=1"}, False),
        ({"url": "https://cdn.example/playlist.m3u8", "kind": "recorded"}, True),
        ({"urlSecretRef": {"name": "camera", "key": "url"}, "kind": "recorded"}, False),
    ],
    ids=str,
)
def test_which_sources_are_recorded_files(source: dict[str, Any], is_recorded: bool) -> None:
    assert recorded(job(source=source).spec.source) is job(source=source).recorded is is_recorded


def test_recorded_files_may_be_free() -> None:
    camera, file = job("camera"), job("file", source={"url": "https://files.example/clip.mp4"})
    free, counted = Licence(1, count_recorded=False), Licence(1)
    running = record(Phase.INPROGRESS)
    assert [holds_slot(file, running, each) for each in (free, counted)] == [False, True]
    assert holds_slot(camera, running, free)
    assert refusal(free, file, 1) is None
    assert refusal(free, camera, 1) is not None
    assert refusal(counted, file, 1) is not None


def test_steps_that_the_licence_does_not_cover() -> None:
    licence = Licence(5, features=frozenset({"detect", "track"}))
    faces = job(analytics=[{"steps": [{"model": "detect"}, {"model": "faces"}]}])
    assert refusal(licence, job(), 0) is None
    assert refusal(licence, faces, 0) == Why(
        Reason.LICENCE_LACKS_FEATURE, "the licence covers detect, track, but not faces"
    )
    assert refusal(Licence(5), faces, 0) is None, "a licence that names no step covers all"


class TestShedding:
    running = record(Phase.INPROGRESS)

    def test_the_newest_of_the_lowest_priority_gives_way(self) -> None:
        jobs = [
            job("old", record(Phase.INPROGRESS, first_frame=NOW - 90), created=NOW - 95),
            job("new", record(Phase.INPROGRESS, first_frame=NOW - 10), created=NOW - 99),
            job("precious", record(Phase.INPROGRESS, first_frame=NOW - 5), created=NOW - 98, priority=1),
        ]
        chosen = to_shed(snapshot(jobs, licence=Licence(2)), None)
        assert chosen is jobs[1]

    def test_a_stream_that_shows_nothing_yet_counts_from_when_it_was_given_to_its_worker(self) -> None:
        jobs = [
            job("running", record(Phase.INPROGRESS, first_frame=NOW - 5, since=NOW - 5)),
            job("starting", record(Phase.STARTING, since=NOW - 2)),
        ]
        assert to_shed(snapshot(jobs, licence=Licence(1)), None) is jobs[1]

    def test_what_is_free_neither_counts_nor_gives_way(self) -> None:
        file = job("file", self.running, source={"url": "https://files.example/clip.mp4"}, priority=-1)
        free = Licence(1, count_recorded=False)
        jobs = [job("a", self.running), file]
        assert to_shed(snapshot(jobs, licence=free), None) is None
        more = [*jobs, job("b", self.running)]
        assert to_shed(snapshot(more, licence=free), None) is more[2]

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
