"""What a source is asked for."""

import json
from typing import Any

import pytest

from tests.support.archives import chunk
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSpec
from videofleet_api.results import Chunk, Sidecar
from videofleet_api.source import Range
from videofleet_archive.acquire import ResumePoint
from videofleet_worker.pipeline.request import no_frame, source_request
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.sources.events import SourceInfo
from videofleet_worker.sources.request import SourceRequest

SIZE = (416, 416)


def _spec(url: str = "http://host/a.mp4", **other: Any) -> JobSpec:
    source = {"url": url} | other.pop("source", {})
    return JobSpec.model_validate({"source": source, "analytics": []} | other)


def _resume(frame: int, processed: int, total_frames: int | None = 100) -> ResumePoint:
    document = json.loads(chunk(frame))
    document["stream_info"]["total_frames"] = total_frames
    sidecar = Sidecar(
        epoch=1, offset=0, frame_index=frame, pts=0, highest_track_id=0, processed_frames=processed, elapsed_ms=0
    )
    return ResumePoint(sidecar, Chunk.model_validate(document))


def _request(spec: JobSpec, *resumes: ResumePoint | None) -> SourceRequest:
    return source_request(spec, SIZE, resumes or [None])


def test_everything_of_the_source_is_passed_on() -> None:
    source = {"username": "u", "password": "p", "transport": "udp", "kind": "live"}
    request = _request(_spec("rtsp://host/a", source=source, sampling={"mode": "fps", "value": 2}, maxFrames=7))
    assert (request.url, request.username, request.password) == ("rtsp://host/a", "u", "p")
    assert (request.transport, request.kind, request.model_size, request.max_frames) == ("udp", "live", SIZE, 7)
    assert (request.sampling.mode, request.sampling.value) == ("fps", 2)
    assert request.resume_after_frame is None


def test_a_file_goes_on_after_its_last_frame_and_the_limit_counts_over_epochs() -> None:
    request = _request(_spec(maxFrames=50), _resume(40, processed=21))
    assert (request.resume_after_frame, request.max_frames) == (40, 29)


def test_analytics_that_are_not_equally_far_begin_with_the_last_of_them() -> None:
    request = _request(_spec(maxFrames=50), _resume(40, 21), _resume(36, 19))
    assert (request.resume_after_frame, request.max_frames) == (36, 31)
    assert _request(_spec(), _resume(40, 21), None).resume_after_frame is None


@pytest.mark.parametrize(
    "spec",
    [_spec("rtsp://host/cam"), _spec("RTSPS://host/cam"), _spec("http://host/live.m3u8", source={"kind": "live"})],
    ids=["rtsp", "rtsps", "said to be live"],
)
def test_a_camera_begins_anew(spec: JobSpec) -> None:
    assert _request(spec, _resume(40, 21)).resume_after_frame is None


def test_what_may_be_live_begins_anew_and_the_run_keeps_count() -> None:
    request = _request(_spec("http://host/list.m3u8", maxFrames=50), _resume(40, 21, total_frames=None))
    assert (request.resume_after_frame, request.max_frames) == (None, None)
    recorded = _spec("http://host/list.m3u8", source={"kind": "recorded"}, maxFrames=50)
    assert _request(recorded, _resume(40, 21, total_frames=None)).resume_after_frame == 40


def test_what_a_source_cannot_be_asked_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        _request(_spec("rtsp://user:secret@host/cam"))
    assert refused.value.code is ErrorCode.BAD_PARAMETER
    assert "credentialsSecretRef" in refused.value.message
    assert "secret" not in refused.value.message


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(RefusedError, match="range must end after its start, got 100 to 90 frames") as refused:
        _request(_spec(range={"start": 100, "end": 90, "unit": "frames"}))
    assert refused.value.code is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (None, "the source ended without a frame"),
        ({"start": 90, "end": 95}, "range.start is 90, and the source has 8.2 s: begin before its end"),
        ({"start": 200, "unit": "frames"}, "range.start is 200, and the source has 200 frames: begin before its end"),
        ({"start": 3, "end": 3.001}, "the source ended without a frame in its range"),
    ],
    ids=["no range", "behind the last second", "behind the last frame", "between two frames"],
)
def test_why_there_was_no_frame(part: dict[str, Any] | None, says: str) -> None:
    info = SourceInfo(live=False, fps=25, width=64, height=48, codec="h264", total_frames=200, duration=8.21)
    assert no_frame(part and Range.model_validate(part), info) == says
