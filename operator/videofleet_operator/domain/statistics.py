"""When counters of a running job are worth a write of their own."""

from typing import Final

from pydantic import ValidationError

from videofleet_api.protocol import JobProgress
from videofleet_api.videojob import Progress, Statistics
from videofleet_operator.domain.model import Seconds
from videofleet_operator.domain.reports import Counters

REFRESH_INTERVAL: Final[Seconds] = 30.0
"""Least time between two writes for the sake of statistics."""
RATE_CHANGE: Final = 0.2
"""Share by which the rate must have moved to be worth a write."""
PROGRESS_CHANGE: Final = 0.05
"""Share of the source that must have been done to be worth a write."""


def may_refresh(last_refresh: Seconds, now: Seconds) -> bool:
    """Whether a status may be written for less than a change of phase, as far as time goes."""
    return now >= last_refresh + REFRESH_INTERVAL


def statistics_due(written: Counters | None, current: Counters, last_refresh: Seconds, now: Seconds) -> bool:
    """Whether the counters moved enough to be written again. Only rates and the share that is done count: all other
    counters ride along.

    `written`: those in status; `last_refresh`: when status was last written, on the same clock as `now`.
    """
    if not may_refresh(last_refresh, now):
        return False
    if written is None:
        return current.decoded_frames > 0
    return _rate_moved(written.processed_fps, current.processed_fps) or _share_moved(written, current)


def written_counters(status: object) -> Counters | None:
    """The counters in a status in its JSON form; None where there are none, or some that cannot be."""
    if not isinstance(status, dict) or status.get("statistics") is None:
        return None
    try:
        counted = Statistics.model_validate(status["statistics"])
        done = Progress.model_validate(status.get("progress") or {})
        told = JobProgress(
            decoded_frames=counted.decoded_frames,
            processed_frames=counted.processed_frames,
            total_frames=done.total_frames,
            dropped_frames=counted.dropped_frames,
            source_fps=counted.source_fps,
            processed_fps=counted.processed_fps,
            objects_posted=counted.objects_posted,
            objects_not_posted=counted.objects_not_posted,
        )
        return Counters.of(told)
    except ValidationError:
        return None


def share_done(progress: Counters) -> float | None:
    """How much of the source is done, from 0 to 1. Where frames are sampled, decoding tells and analysing does not."""
    if not progress.total_frames:
        return None
    return min(1.0, max(progress.decoded_frames, progress.processed_frames) / progress.total_frames)


def _rate_moved(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) > RATE_CHANGE * max(abs(old), 0.1)


def _share_moved(old: Counters, new: Counters) -> bool:
    before, after = share_done(old), share_done(new)
    return after is not None and abs(after - (before or 0.0)) >= PROGRESS_CHANGE
