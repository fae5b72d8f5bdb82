"""The part of a recorded source that is wanted. Pure."""

from dataclasses import dataclass
from typing import Literal

from videofleet_worker.decode.messages import Opened


@dataclass(frozen=True)
class Part:
    """From `start` on, before `end`: in seconds since the first frame, or in numbers of frames."""

    start: float
    end: float | None
    unit: Literal["seconds", "frames"]

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"range must end after its start, got {self.start:g} to {self.end:g} {self.unit}")

    def begins_after(self, index: int, pts: float) -> bool:
        """Whether a frame comes before the part."""
        return self._place(index, pts) < self.start

    def ends_before(self, index: int, pts: float) -> bool:
        """Whether a frame, and with it all that follow, comes after the part."""
        return self.end is not None and self._place(index, pts) >= self.end

    def frames_of(self, info: Opened) -> int | None:
        """How many frames of the source are in it, as far as is known."""
        rate = info.fps if self.unit == "seconds" else 1.0
        if info.total_frames is None or not rate:
            return info.total_frames
        last = info.total_frames if self.end is None else min(info.total_frames, round(self.end * rate))
        return max(0, last - round(self.start * rate))

    def _place(self, index: int, pts: float) -> float:
        # Seconds are made from a time base: what is due exactly must not be missed by a rounding error.
        return index if self.unit == "frames" else pts + 1e-6
