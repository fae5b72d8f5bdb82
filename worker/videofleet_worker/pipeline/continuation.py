"""Where a run stands, over its epochs. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from videofleet_api.results import StreamInfo
from videofleet_archive.acquire import ResumePoint
from videofleet_worker.sources.events import SourceInfo

_USUAL_PERIOD: Final = 1 / 25
_LEAST_STEP: Final = 1e-6
"""Seconds between the times of capture of two frames."""
_FARTHEST_BACK: Final = 20.0
"""Seconds by which a worker is behind another at most when it takes a stream over from it."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """A frame as its source numbers it: index and pts (seconds) in this epoch, Unix times of capture and arrival.

    They differ where the camera itself tells when it took a picture.
    """

    index: int
    pts: float
    capture_time: float
    arrival: float


def dated_alike(frames: Sequence[FrameFacts]) -> list[FrameFacts]:
    """The frames of a live source with times of capture and arrival that follow from their pts.

    A source that was just opened delivers what it had in store, and delivers it late; when a picture was taken is
    known best by the one that came with the least delay, or of which the camera told it.
    """
    taken = min((frame.capture_time - frame.pts for frame in frames), default=0.0)
    came = min((frame.arrival - frame.pts for frame in frames), default=0.0)
    return [replace(frame, capture_time=frame.pts + taken, arrival=frame.pts + came) for frame in frames]


@dataclass(frozen=True, slots=True)
class Counts:
    """What this epoch has done so far: frames decoded and dropped, milliseconds passed."""

    decoded: int
    dropped: int
    elapsed_ms: int


class Continuation:
    """Numbers the frames of this epoch as frames of the run.

    A recorded source is decoded from its beginning again, so its own numbers are those of the run. A live source
    begins anew, so its numbers and times go on after those of the epochs before.

    `beside`: this epoch took a live source over from one that was running, so some frames were seen by both.
    """

    def __init__(self, resume: ResumePoint | None, source: SourceInfo, *, beside: bool = False) -> None:
        self._beside = beside
        self._before = resume.last.stream_info if resume else None
        self._came_before = _arrival(resume) if resume else 0.0
        self._elapsed_before = resume.sidecar.elapsed_ms if resume else 0
        self._source = source
        self._last = self._before
        self._pts_base = 0.0
        self._begun = False
        self._least_delay = math.inf
        self._told: FrameFacts | None = None
        self._arrival: float | None = None

    @property
    def last(self) -> StreamInfo | None:
        """The last frame of the run so far."""
        return self._last

    @property
    def arrival(self) -> float | None:
        """Unix time at which the last frame of a live source came in this epoch."""
        return self._arrival

    def skips(self, index: int) -> bool:
        """Whether an earlier epoch has told about this frame."""
        return not self._source.live and self._before is not None and index <= self._before.frame_index

    def has(self, frame: FrameFacts) -> bool:
        """Whether the epoch that ran beside this one has told about what a live source showed then.

        The same frame comes to two workers at nearly the same time, so what is within half a frame's time is the same.
        Asked of each frame in turn until one is told about: this epoch may be behind the other one when it takes over.
        A frame that comes late is as old as the one with the least delay says; and what seems to lie far back was
        dated by another clock, and is new. When it was taken is no measure: one of them may know that from the camera
        already.
        """
        if self._begun or self._before is None or not (self._beside and self._source.live):
            return False
        self._least_delay = min(self._least_delay, frame.arrival - frame.pts)
        told = self._came_before + self._period / 2
        return told - _FARTHEST_BACK < frame.pts + self._least_delay <= told

    def advance(self, frame: FrameFacts, counts: Counts) -> StreamInfo:
        """The place in the run of the next frame."""
        if not self._begun:
            self._begun = True
            self._pts_base = self._first_pts_base(frame)
        self._last = self._info(frame, counts)
        self._told = replace(frame, capture_time=self._last.capture_time)
        self._arrival = frame.arrival if self._source.live else None
        return self._last

    def end(self, counts: Counts) -> StreamInfo:
        """The place in the run after its last frame."""
        if self._last is None:
            return self._info(FrameFacts(0, 0.0, 0.0, 0.0), counts)
        return self._last.model_copy(
            update={
                "decoded_frames": self._decoded(counts, 0),
                "dropped_frames": self._dropped(counts),
                "elapsed_ms": self._elapsed(counts),
            }
        )

    def _info(self, frame: FrameFacts, counts: Counts) -> StreamInfo:
        live_before = self._before if self._source.live else None
        index = frame.index + (live_before.frame_index + 1 if live_before else 0)
        return StreamInfo(
            frame_index=index,
            total_frames=self._source.total_frames,
            decoded_frames=self._decoded(counts, 0 if self._source.live else index + 1),
            dropped_frames=self._dropped(counts),
            fps=self._source.fps,
            elapsed_ms=self._elapsed(counts),
            pts=round(frame.pts + self._pts_base, 6),
            capture_time=round(self._dated(frame), 6),
        )

    def _dated(self, frame: FrameFacts) -> float:
        """The frame's time of capture, later than that of the frame before.

        When it turns out that what a live source sent came late, or its camera begins to tell when that was taken,
        frames date back; those that follow are then told at half the pace until they are at their own times again.
        """
        if self._told is None or not self._source.live:
            return frame.capture_time
        return max(frame.capture_time, self._told.capture_time + max(_LEAST_STEP, (frame.pts - self._told.pts) / 2))

    def _first_pts_base(self, frame: FrameFacts) -> float:
        before = self._before
        if before is None or not self._source.live:
            return 0.0
        return before.pts + max(frame.arrival - self._came_before, self._period) - frame.pts

    @property
    def _period(self) -> float:
        return 1 / self._source.fps if self._source.fps else _USUAL_PERIOD

    def _decoded(self, counts: Counts, at_least: int) -> int:
        """The source reports its counter a few times a second: never less than the frames seen, never falling."""
        base = self._before.decoded_frames if self._before and self._source.live else 0
        return max(base + counts.decoded, at_least, self._last.decoded_frames if self._last else 0)

    def _dropped(self, counts: Counts) -> int:
        return counts.dropped + (self._before.dropped_frames if self._before else 0)

    def _elapsed(self, counts: Counts) -> int:
        return counts.elapsed_ms + self._elapsed_before


def _arrival(resume: ResumePoint) -> float:
    """Unix time at which the last frame before came."""
    arrival = resume.sidecar.arrival
    return resume.last.stream_info.capture_time if arrival is None else arrival
