"""Which decoded frames are wanted. Pure: state in, answer out."""

import math
from dataclasses import dataclass
from typing import Literal

SamplingMode = Literal["all", "fps", "keyframe", "interval"]
DecodeWish = Literal["auto", "all", "keyframes"]

# Timestamps are multiples of a time base turned into floating point seconds: a frame that is due exactly on the grid
# must not miss it by a rounding error. A millionth of a period is far below any jitter.
_GRID_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Sampling:
    """Which frames are analysed: all, `value` frames a second, keyframes, or every `value`-th frame.

    decode: auto decodes what these need; all decodes everything; keyframes takes the frames from keyframes alone.
    """

    mode: SamplingMode = "all"
    value: float | None = None
    decode: DecodeWish = "auto"

    def __post_init__(self) -> None:
        if self.mode in ("all", "keyframe"):
            if self.value is not None:
                raise ValueError(f"sampling mode {self.mode} takes no value, got {self.value}")
            return
        if self.value is None or not math.isfinite(self.value) or self.value <= 0:
            raise ValueError(f"sampling mode {self.mode} needs a value above 0, got {self.value}")
        if self.mode == "interval" and self.value != int(self.value):
            raise ValueError(f"sampling mode interval needs a whole number, got {self.value}")


class Sampler:
    """Says frame by frame, in display order, whether it is wanted.

    fps and interval divide the run into cells (of 1/fps seconds, or of n frames) that begin with the first frame, and
    take the first frame of each cell. The grid does not move with the frames taken: a test of "long enough since the
    last one" loses a frame at every jitter.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._origin: tuple[int, float] | None = None
        self._last_cell = -1

    @property
    def begun(self) -> bool:
        """Whether it was asked about a frame."""
        return self._origin is not None

    @property
    def takes_all(self) -> bool:
        """Whether it wants every frame."""
        return self._sampling.mode == "all"

    @property
    def replaces(self) -> bool:
        """Whether it takes one frame out of several, so that another one does if that cannot be had."""
        return self._sampling.mode in ("fps", "interval")

    @property
    def next_index(self) -> int | None:
        """Mode interval, once begun: the first number that the next wanted frame can have."""
        if self._sampling.mode != "interval" or self._origin is None:
            return None
        return self._origin[0] + (self._last_cell + 1) * int(self._value)

    @property
    def next_pts(self) -> float | None:
        """Mode fps, once begun: the time before which no wanted frame comes."""
        if self._sampling.mode != "fps" or self._origin is None:
            return None
        return self._origin[1] + (self._last_cell + 1 - _GRID_TOLERANCE) / self._value

    @property
    def _value(self) -> float:
        assert self._sampling.value is not None, "Sampling refuses fps and interval without one"
        return self._sampling.value

    def wants(self, index: int, pts: float, keyframe: bool) -> bool:
        """Whether the frame `index` at `pts` seconds is wanted."""
        if self._origin is None:
            self._origin = (index, pts)
        match self._sampling.mode:
            case "all":
                return True
            case "keyframe":
                return keyframe
            case "fps" | "interval":
                return self._begins_cell(index, pts)

    def _begins_cell(self, index: int, pts: float) -> bool:
        cell = self._cell(index, pts)
        if cell <= self._last_cell:
            return False
        self._last_cell = cell
        return True

    def _cell(self, index: int, pts: float) -> int:
        assert self._origin is not None, "wants() has set it"
        first_index, first_pts = self._origin
        if self._sampling.mode == "interval":
            return (index - first_index) // int(self._value)
        return math.floor((pts - first_pts) * self._value + _GRID_TOLERANCE)
