"""Numbers and times of a run over its epochs."""

import json

import pytest

from tests.support.archives import chunk
from videofleet_api.results import Chunk, Sidecar
from videofleet_archive.acquire import ResumePoint
from videofleet_worker.pipeline.continuation import Continuation, Counts, FrameFacts, dated_alike
from videofleet_worker.sources.events import SourceInfo

FILE = SourceInfo(live=False, fps=10.0, width=768, height=576, codec="h264", total_frames=100)
CAMERA = SourceInfo(live=True, fps=10.0, width=768, height=576, codec="h264", total_frames=None)


def _resume(frame: int, dropped: int = 0) -> ResumePoint:
    document = json.loads(chunk(frame))
    document["stream_info"]["dropped_frames"] = dropped
    sidecar = Sidecar(
        epoch=1,
        offset=0,
        frame_index=frame,
        pts=frame / 10,
        highest_track_id=0,
        processed_frames=frame + 1,
        elapsed_ms=40 * frame,
    )
    return ResumePoint(sidecar, Chunk.model_validate(document))


def _frame(index: int, capture_time: float = 0.0) -> FrameFacts:
    return FrameFacts(index, index / 10, capture_time, capture_time)


def test_a_first_epoch_tells_what_the_source_tells() -> None:
    place = Continuation(None, FILE)
    assert not place.skips(0)
    info = place.advance(_frame(3, 1000.0), Counts(decoded=7, dropped=2, elapsed_ms=50))
    assert (info.frame_index, info.pts, info.capture_time) == (3, 0.3, 1000.0)
    assert (info.decoded_frames, info.dropped_frames, info.elapsed_ms) == (7, 2, 50)
    assert (info.total_frames, info.fps) == (100, 10.0)


def test_a_file_keeps_its_own_numbers_and_skips_what_was_told() -> None:
    place = Continuation(_resume(5, dropped=3), FILE)
    assert [index for index in range(4, 9) if not place.skips(index)] == [6, 7, 8]
    info = place.advance(_frame(6), Counts(decoded=1, dropped=2, elapsed_ms=10))
    assert (info.frame_index, info.pts) == (6, 0.6)
    assert info.decoded_frames == 7, "the decoder's own counter is late; so many were decoded at least"
    assert info.dropped_frames == 5
    assert info.elapsed_ms == 210


def test_two_workers_date_a_frame_a_little_differently() -> None:
    place = Continuation(_resume(5), CAMERA, beside=True)
    last = _resume(5).last.stream_info.capture_time
    assert place.has(_frame(2, last - 0.1))
    assert place.has(_frame(3, last + 0.000_047)), "the same frame, as the other worker dates it"
    assert not place.has(_frame(4, last + 0.1)), "the next frame"


def test_a_frame_that_comes_late_was_taken_when_it_was_due() -> None:
    place = Continuation(_resume(5), CAMERA, beside=True)
    last = _resume(5).last.stream_info.capture_time
    assert place.has(_frame(2, last - 0.1))
    assert place.has(_frame(3, last + 0.3)), "told already, and seen here after the logs changed hands"
    assert not place.has(_frame(4, last + 0.4))


def test_one_worker_knows_from_the_camera_when_a_frame_was_taken_and_the_other_does_not() -> None:
    """The camera says that its frames are half a second old when they come."""
    before = _resume(5)
    last = before.last.stream_info.capture_time
    by_camera = ResumePoint(before.sidecar.model_copy(update={"arrival": last + 0.5}), before.last)

    by_arrival = Continuation(by_camera, CAMERA, beside=True)
    assert by_arrival.has(_frame(3, last + 0.5)), "the frame that was told last"
    assert not by_arrival.has(_frame(4, last + 0.6))

    knows = Continuation(before, CAMERA, beside=True)
    assert knows.has(FrameFacts(3, 0.3, last - 0.5, last))
    assert not knows.has(FrameFacts(4, 0.4, last - 0.4, last + 0.1))


def test_when_the_camera_begins_to_tell_the_time_frames_stay_in_order() -> None:
    place, counts = Continuation(None, CAMERA), Counts(0, 0, 0)
    frames = [FrameFacts(n, n / 10, 100 + n / 10 - (0.5 if n > 2 else 0), 100 + n / 10) for n in range(15)]
    infos = [place.advance(frame, counts) for frame in frames]
    told = [info.capture_time for info in infos]
    assert told == sorted(set(told))
    assert told[-1] == frames[-1].capture_time
    assert place.arrival == frames[-1].arrival
    assert [info.pts for info in infos] == [frame.pts for frame in frames]


def test_what_was_told_is_looked_for_until_something_is_new() -> None:
    place = Continuation(_resume(5), CAMERA, beside=True)
    last = _resume(5).last.stream_info.capture_time
    place.advance(_frame(4, last + 0.1), Counts(decoded=1, dropped=0, elapsed_ms=10))
    assert not place.has(_frame(5, last)), "a clock that was set back makes no frame an old one"


@pytest.mark.parametrize(
    ("source", "beside", "back"),
    [(FILE, True, 0.1), (CAMERA, False, 0.1), (CAMERA, True, 3600.0)],
    ids=["a file counts by frames", "nobody ran beside this epoch", "another worker's clock is an hour ahead"],
)
def test_frames_are_new_all_the_same(source: SourceInfo, beside: bool, back: float) -> None:
    last = _resume(5).last.stream_info.capture_time
    assert not Continuation(_resume(5), source, beside=beside).has(_frame(0, last - back))


def test_frames_that_came_late_at_first_are_dated_by_those_that_came_in_time() -> None:
    late = [_frame(0, 1000.4), _frame(4, 1000.4), _frame(8, 1000.8)]
    assert [frame.capture_time for frame in dated_alike(late)] == [1000.0, 1000.4, 1000.8]
    assert dated_alike([]) == []


def test_a_camera_goes_on_behind_what_was_told() -> None:
    place = Continuation(_resume(5, dropped=3), CAMERA)
    assert not place.skips(0)
    before = _resume(5).last.stream_info
    first = place.advance(_frame(0, before.capture_time + 30), Counts(decoded=1, dropped=1, elapsed_ms=10))
    assert first.frame_index == 6
    assert first.pts == before.pts + 30
    assert (first.decoded_frames, first.dropped_frames) == (7, 4)
    second = place.advance(_frame(4, before.capture_time + 30.4), Counts(5, 1, 400))
    assert (second.frame_index, second.pts) == (10, first.pts + 0.4)


def test_time_never_goes_back_when_the_clock_did() -> None:
    place = Continuation(_resume(5), CAMERA)
    info = place.advance(_frame(0, capture_time=5.0), Counts(1, 0, 0))
    assert info.pts > 0.5


def test_a_smaller_delay_that_is_learnt_does_not_turn_frames_round() -> None:
    """Frames 0 and 1 came half a second late; those after them came in time."""
    place = Continuation(None, CAMERA)
    counts = Counts(0, 0, 0)
    late = [100.5 + index / 10 for index in (0, 1)]
    intime = [100.0 + index / 10 for index in range(2, 15)]
    told = [place.advance(_frame(index, taken), counts).capture_time for index, taken in enumerate([*late, *intime])]
    assert told == sorted(set(told))
    assert told[:3] == [100.5, 100.6, 100.65], "half the pace"
    assert told[11:] == intime[9:], "their own times again"


def test_decoded_frames_never_fall() -> None:
    place = Continuation(None, FILE)
    place.advance(_frame(0), Counts(decoded=50, dropped=0, elapsed_ms=0))
    assert place.advance(_frame(1), Counts(decoded=40, dropped=0, elapsed_ms=1)).decoded_frames == 50


def test_the_end_is_at_the_last_frame_with_the_last_counts() -> None:
    place = Continuation(None, FILE)
    place.advance(_frame(9), Counts(10, 0, 100))
    end = place.end(Counts(decoded=100, dropped=90, elapsed_ms=900))
    assert (end.frame_index, end.decoded_frames, end.dropped_frames, end.elapsed_ms) == (9, 100, 90, 900)


def test_a_run_that_an_earlier_epoch_had_done_ends_where_that_was() -> None:
    assert Continuation(_resume(5), FILE).end(Counts(0, 0, 7)).frame_index == 5
