"""A log that tells events says of tracks what one that tells frames says, whatever objects do."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from videofleet_api.results import Chunk, StreamInfo, Track, TrackRecord, Usage
from videofleet_archive.documents import chunk, terminal_chunk
from videofleet_archive.results import RunSummary
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.told import EveryFrame, Happenings, Seen, Teller

SIZE = (640, 480)
QUIET = 10.0
Frame = list[FoundObject]

boxes = st.tuples(*(st.integers(0, 400),) * 2).map(lambda at: (float(at[0]), float(at[1]), at[0] + 50.0, at[1] + 70.0))
details = st.sampled_from([{}, {"text": "KLM1234", "text_confidence": 0.5}, {"text": "?", "text_confidence": 0.25}])
objects = st.builds(
    FoundObject,
    st.integers(0, 6),
    st.sampled_from(["person", "car"]),
    st.floats(0.125, 1, width=16),
    boxes,
    details=details,
)
frames = st.lists(st.lists(objects, max_size=5, unique_by=lambda one: one.track_id), min_size=1, max_size=25)


def info(frame: int, period: float) -> StreamInfo:
    return StreamInfo(
        frame_index=frame,
        total_frames=None,
        decoded_frames=frame + 1,
        dropped_frames=0,
        fps=1 / period,
        elapsed_ms=frame,
        pts=frame * period,
        capture_time=1e9 + frame * period,
    )


def followed_after(shown: Sequence[Frame], frame: int) -> set[int]:
    """As if a tracker let go of an object when it is seen for the last time."""
    return {one.track_id for later in shown[frame + 1 :] for one in later}


class Stream:
    """Tells frames as a run does; `period` seconds apart."""

    def __init__(self, shown: Sequence[Frame], period: float) -> None:
        self.shown, self.period, self.frame = shown, period, 0

    def happenings(self, inherited: Sequence[TrackRecord] = ()) -> Happenings:
        return Happenings(inherited, lambda _: False, lambda: followed_after(self.shown, self.frame))

    def tell(self, teller: Teller, frames: range) -> list[bytes]:
        told = []
        for self.frame in frames:
            if teller.see(Seen(info(self.frame, self.period), self.shown[self.frame], SIZE, {})):
                told.append(chunk("run", info(self.frame, self.period), [teller.document()]))
        return told

    def end(self, teller: Teller) -> list[bytes]:
        last = teller.end()
        return [] if last is None else [chunk("run", info(self.frame, self.period), [last])]


def tracks_of(documents: Sequence[bytes]) -> list[Track]:
    end = terminal_chunk("run", info(0, 1), "stop", Usage(processed_frames=1, processing_time_ms=1))
    summary = RunSummary()
    for document in (*documents, end):
        summary.add(json.loads(document))
    return summary.result("model").tracks


def events_of(documents: Sequence[bytes], kind: str) -> list[dict[str, Any]]:
    chunks = map(json.loads, documents)
    events = [event for one in chunks for result in one["delta"]["results"] for event in result["events"]]
    return [event for event in events if event["kind"] == kind]


@given(frames)
def test_the_summary_is_the_same_in_each_detail(shown: list[Frame]) -> None:
    stream = Stream(shown, 0.5)
    whole = stream.tell(EveryFrame(), range(len(shown)))
    some = stream.happenings()
    told = stream.tell(some, range(len(shown))) + stream.end(some)
    assert tracks_of(told) == tracks_of(whole)
    assert all(Chunk.model_validate_json(one) for one in told)


@given(frames, st.integers(0, 25))
def test_every_track_begins_once_and_ends_once_whoever_is_interrupted(shown: list[Frame], cut: int) -> None:
    """A track that is there in two epochs has two ids in life; here it shows that nobody forgets its first end."""
    stream = Stream(shown, 0.5)
    first = stream.happenings()
    told = stream.tell(first, range(min(cut, len(shown))))
    there = first.there()
    begun = [event["track_id"] for event in events_of(told, "track_begin")]
    ended = [event["track_id"] for event in events_of(told, "track_end")]
    assert sorted(begun) == sorted(set(begun))
    assert sorted(begun) == sorted([*ended, *(one.track_id for one in there)])
    second = Stream([[]], 0.5).happenings(there)
    after = Stream([[]], 0.5).tell(second, range(1))
    assert [event["track_id"] for event in events_of(after, "track_end")] == [one.track_id for one in there]
    assert all(event["track"]["interrupted"] for event in events_of(after, "track_end"))
    assert not second.there()


@given(st.lists(st.lists(objects, max_size=1), min_size=1, max_size=25), st.floats(0.05, 30))
def test_a_log_is_never_silent_for_long(shown: list[Frame], period: float) -> None:
    stream = Stream(shown, period)
    teller = stream.happenings()
    told = [json.loads(one)["stream_info"]["pts"] for one in stream.tell(teller, range(len(shown)))]
    assert told[0] == 0
    gaps = [after - before for before, after in zip(told, [*told[1:], (len(shown) - 1) * period], strict=True)]
    assert max(gaps) < QUIET + period + 1e-9
    if told[-1] < (len(shown) - 1) * period:
        assert teller.pending() is not None, "who stops says where"
    assert teller.pending() is None
