"""What operator and worker take from each other, and what they refuse."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from videofleet_api.protocol import EVENT_LINE, AssignmentConflict, JobEvent, WorkerInfo

INFO = {
    "id": "w",
    "instance": "i",
    "version": "1",
    "term": 3,
    "models": [],
    "steps": [],
    "provider": "cpu",
    "capacity": 4,
}


def line(sequence: object = 1, progress: dict[str, Any] | None = None, **report: object) -> bytes:
    facts = {"uid": "u", "epoch": 1, "state": "running", "progress": progress or {}, **report}
    return json.dumps({"kind": "event", "sequence": sequence, "time": 1.0, "report": facts}).encode()


def read(text: bytes) -> JobEvent:
    event = EVENT_LINE.validate_json(text)
    assert isinstance(event, JobEvent)
    return event


def test_the_largest_numbers_are_taken() -> None:
    counters = {"decodedFrames": 2**53, "sourceFps": 1e6, "droppedFrames": {"late": 2**53}}
    report = read(line(2**53, counters, firstFrameTime=4102444800)).report
    assert (report.progress.decoded_frames, report.progress.source_fps) == (2**53, 1e6)
    assert report.first_frame_time == 4102444800


@pytest.mark.parametrize(
    "progress",
    [
        {"decodedFrames": -1},
        {"processedFrames": 2**53 + 1},
        {"totalFrames": -5},
        {"droppedFrames": {"late": -1}},
        {"droppedFrames": {"x" * 65: 1}},
        {"droppedFrames": {str(number): 1 for number in range(65)}},
        {"sourceFps": -0.1},
        {"processedFps": 1.1e6},
        {"processedFps": float("nan")},
        {"sourceFps": float("inf")},
    ],
)
def test_counters_that_cannot_be_are_refused(progress: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EVENT_LINE.validate_json(line(progress=progress))


@pytest.mark.parametrize(
    "fields",
    [
        {"firstFrameTime": 1e300},
        {"firstFrameTime": -1},
        {"firstFrameTime": float("nan")},
        {"epoch": -1},
        {"sequence": -1},
        {"sequence": 2**60},
    ],
)
def test_facts_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EVENT_LINE.validate_json(line(**fields))


@pytest.mark.parametrize("fields", [{"capacity": 0}, {"capacity": 4097}, {"capacity": -3}, {"term": -1}])
def test_a_worker_that_offers_what_cannot_be_is_refused(fields: dict[str, int]) -> None:
    assert WorkerInfo.model_validate(INFO).capacity == 4
    with pytest.raises(ValidationError):
        WorkerInfo.model_validate({**INFO, **fields})


def test_a_conflict_names_a_term_that_can_be() -> None:
    with pytest.raises(ValidationError):
        AssignmentConflict.model_validate({"term": 2**63, "number": 1, "instance": "i", "message": ""})


def test_a_long_message_is_cut_and_not_refused() -> None:
    message = read(line(message="m" * 5000)).report.message
    assert message is not None
    assert (len(message), message[0], message[-1]) == (1024, "m", "\u2026")
    assert read(line(message="short")).report.message == "short"
