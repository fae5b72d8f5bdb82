"""Whether a live frame is worth its turn at the models, by how old it will be when its results are told. Pure."""

from typing import Final

from videofleet_worker.decode.frame import MAX_AGE

_SHARE: Final = 0.3
"""Of what frames took lately, the newest counts so much."""
_CAUTION: Final = 2.0
"""So many mean deviations above the mean a frame is expected to be told (as RFC 6298 waits for answers, with 4)."""


class Freshness:
    """Of one stream. Times in seconds.

    A frame whose results would be too old is left out where those of one that has just come would not be: waiting made
    it so, and the next one may wait less. It is never two in a row, so that a stream whose turns always come late is
    analysed all the same; and where the models alone take too long, nothing is gained by leaving out anything.
    """

    def __init__(self) -> None:
        self._on_the_way = 0.0
        self._work = 0.0
        self._deviation = 0.0
        self._left_out = False

    def came(self, age: float) -> None:
        """A frame came, this old: so old is the newest at best."""
        self._on_the_way = age

    def is_late(self, age: float) -> bool:
        """Whether the frame whose turn it is, and that is this old, is to be left out."""
        work = self._work + _CAUTION * self._deviation
        late = age + work > MAX_AGE >= self._on_the_way + work
        self._left_out = late and not self._left_out
        return self._left_out

    def took(self, seconds: float) -> None:
        """From its turn until it was told of, a frame took so long."""
        # A step of the clock, or a hiccup, is not to be remembered for long.
        off = min(max(seconds, 0.0), MAX_AGE) - self._work
        self._work += _SHARE * off
        self._deviation += _SHARE * (abs(off) - self._deviation)
