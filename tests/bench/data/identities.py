"""Whether the numbers of tracks mean what they should: one object each, for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# Stamps are told to the millionth: what is unseen for exactly as long as it may be, as happens at one frame a second,
# must not count as longer because a difference of them is never quite a round number.
_ROUNDING = 2e-6


@dataclass
class Identities:
    """The track ids of one stream, frame by frame. `longest` seconds is how long a track may be unseen and live on."""

    longest: float
    shared: int = 0
    """Frames in which two objects had one id."""
    reused: int = 0
    """Times that an id came back after its track had ended."""
    backwards: int = 0
    """Frames whose number or time was not above that of the one before."""
    frames: int = 0
    highest: int = 0
    _seen: dict[int, float] = field(default_factory=dict)
    _last: tuple[int, float] = (-1, -1.0)

    def frame(self, index: int, pts: float, ids: Sequence[int]) -> None:
        """Look at the next frame."""
        self.frames += 1
        self.backwards += index <= self._last[0] or pts <= self._last[1]
        self._last = index, pts
        self.shared += len(set(ids)) < len(ids)
        for one in ids:
            # Numbers only rise: one that is new and not above all before it has been given before.
            since = pts - self._seen[one] - _ROUNDING if one in self._seen else 0.0
            self.reused += since > self.longest or (one not in self._seen and one <= self.highest)
        self._seen |= dict.fromkeys(ids, pts)
        self.highest = max([self.highest, *ids])

    @property
    def distinct(self) -> int:
        """How many objects there were."""
        return len(self._seen)
