"""VideoJob.status, out and in."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, assigned, job, record
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Failure, Record
from videofleet_operator.domain.reports import Counters
from videofleet_operator.domain.restore import from_status
from videofleet_operator.domain.statistics import statistics_due, written_counters
from videofleet_operator.domain.status import Shown, to_status
from videofleet_operator.domain.times import format_time, parse_time

P = Phase
FULL = Record(
    phase=P.DISCONNECTED,
    reason=Reason.WORKER_SILENT,
    message="nothing heard",
    observed_generation=4,
    run=2,
    epoch=9,
    transitions=31,
    since=NOW + 0.123456,
    worker=assigned(),
    attempt=3,
    next_retry=NOW + 7,
    spec_digest="abc",
    first_frame=NOW - 5.5,
    completed=NOW - 100,
    finished=True,
    last_error=Failure("AUTH", "wrong password", NOW - 50),
    restarts=8,
)


def written(it: Record, progress: Counters | None = None, previous: object = None) -> dict[str, Any]:
    return dict(to_status(job(), it, Shown("rtsp://camera/1", progress), previous, NOW))


def test_every_field_of_a_record_comes_back() -> None:
    assert from_status(written(FULL)) == FULL


def test_a_job_without_a_status_is_new() -> None:
    assert from_status({}) == from_status(None) == Record()


def test_the_wire_form() -> None:
    status = written(record(P.INPROGRESS, reason=Reason.RUNNING, first_frame=NOW, since=NOW))
    assert status["phase"] == "INPROGRESS"
    assert status["since"] == "2027-01-15T08:00:00.000000Z"
    assert status["source"] == "rtsp://camera/1"
    assert status["worker"]["pool"] == "default/p"
    assert status["analytics"] == [{"name": "main", "results": "default/j1/1/main"}]
    assert "message" not in status
    assert "finished" not in status


def test_results_are_told_of_where_there_are_some() -> None:
    none = dict(to_status(job(), Record(), Shown(), None, NOW))
    off = dict(to_status(job(outputs={"archive": {"enabled": False}}), FULL, Shown(), None, NOW))
    assert none["analytics"] == off["analytics"] == []


@pytest.mark.parametrize(
    ("garbled", "expected"),
    [
        ({"phase": "DANCING"}, {"phase": P.AWAITING}),
        ({"epoch": -1}, {"epoch": 0}),
        ({"since": "yesterday"}, {"since": 0.0}),
        ({"reason": "Whatever"}, {"reason": None}),
        ({"worker": {"name": "w"}}, {"phase": P.AWAITING, "worker": None, "epoch": 9, "reason": None, "message": ""}),
        ({"worker": None}, {"phase": P.AWAITING, "worker": None, "epoch": 9}),
        ({"lastError": {"code": "AUTH", "message": "x", "time": "never"}}, {"last_error": None}),
        ({"conditions": "none"}, {"epoch": 9}),
        ({"statistics": 5}, {"restarts": 0}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(garbled: dict[str, Any], expected: dict[str, Any]) -> None:
    read = from_status({**written(FULL), **garbled})
    assert {name: getattr(read, name) for name in expected} == expected


class TestCounters:
    some = Counters(decoded_frames=50, processed_frames=25, total_frames=100, processed_fps=12.34, source_fps=25)

    def test_progress_and_statistics(self) -> None:
        status = written(record(P.INPROGRESS), self.some)
        assert status["progress"] == {"percent": "50 %", "processedFrames": 25, "totalFrames": 100}
        assert status["statistics"]["processedFps"] == 12.3

    def test_what_a_router_has_taken_is_told_where_there_is_one(self) -> None:
        assert "objectsPosted" not in written(record(P.INPROGRESS), self.some)["statistics"]
        told = replace(self.some, objects_posted=7, objects_not_posted=0)
        statistics = written(record(P.INPROGRESS), told)["statistics"]
        assert (statistics["objectsPosted"], statistics["objectsNotPosted"]) == (7, 0)
        assert written_counters(written(record(P.INPROGRESS), told)) == replace(told, processed_fps=12.3)

    def test_they_stay_where_no_worker_tells_of_new_ones(self) -> None:
        before = written(record(P.INPROGRESS), self.some)
        after = written(record(P.DISCONNECTED), None, before)
        assert (after["progress"], after["statistics"]) == (before["progress"], before["statistics"])

    def test_what_is_completed_is_done(self) -> None:
        before = written(record(P.INPROGRESS), self.some)
        assert written(record(P.COMPLETED), None, before)["progress"]["percent"] == "100 %"
        assert written(record(P.COMPLETED), self.some)["progress"]["percent"] == "100 %"

    def test_a_new_run_begins_with_none(self) -> None:
        before = written(record(P.INPROGRESS), self.some)
        after = written(record(P.STARTING, run=2, restarts=1), None, before)
        assert "progress" not in after
        assert after["statistics"] == {"decodedFrames": 0, "processedFrames": 0, "droppedFrames": {}, "restarts": 1}

    def test_a_live_source_has_no_progress(self) -> None:
        assert "progress" not in written(record(P.INPROGRESS), Counters(decoded_frames=5))

    def test_they_are_read_back(self) -> None:
        read = written_counters(written(record(P.INPROGRESS), self.some))
        assert read == replace(self.some, processed_fps=12.3)
        assert written_counters({}) is None

    def test_some_that_cannot_be_are_as_if_there_were_none(self) -> None:
        """A status of another version, or one that was edited, must not stop the operator."""
        assert written_counters({"statistics": {"sourceFps": -1.0, "decodedFrames": 5}}) is None

    @pytest.mark.parametrize(
        ("change", "due"),
        [
            ({}, False),
            ({"processed_fps": 12.34 * 1.19}, False),
            ({"processed_fps": 12.34 * 1.21}, True),
            ({"processed_fps": 12.34 * 0.79}, True),
            ({"processed_fps": None}, True),
            ({"decoded_frames": 54}, False),
            ({"decoded_frames": 55}, True),
            ({"dropped_frames": {"stale": 1000}}, False),
        ],
        ids=str,
    )
    def test_when_they_are_worth_a_write(self, change: dict[str, Any], due: bool) -> None:
        moved = replace(self.some, **change)
        assert statistics_due(self.some, moved, NOW - 30, NOW) == due
        assert not statistics_due(self.some, moved, NOW - 29, NOW)

    def test_the_first_ones_are(self) -> None:
        assert statistics_due(None, self.some, NOW - 30, NOW)
        assert not statistics_due(None, Counters(), NOW - 30, NOW)


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.000000Z"])
def test_times(text: str) -> None:
    assert format_time(parse_time(text)) == "2026-01-02T03:04:05.000000Z"


@pytest.mark.parametrize("text", ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z"])
def test_texts_that_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|time zone"):
        parse_time(text)
