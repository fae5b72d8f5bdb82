"""How far apart a live source's keyframes are, as measured. Pure."""

# By so much a keyframe may be late before its interval counts as grown.
_LATE = 1.1


class KeyframeInterval:
    """The longer one of the last two intervals; nothing is said before both are known."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._frames: list[int] = []
        self._seconds: list[float] = []

    def keyframe(self, index: int, stamp: float) -> None:
        """A keyframe came, with this number and timestamp in seconds."""
        if self._last is not None:
            self._frames = [*self._frames, index - self._last[0]][-2:]
            self._seconds = [*self._seconds, stamp - self._last[1]][-2:]
        self._last = index, stamp

    def comes_before(self, index: int | None, stamp: float | None) -> bool:
        """Whether the next keyframe is expected at or before the frame of this number, or this timestamp."""
        if self._last is None or len(self._frames) < 2:
            return False
        if index is not None:
            return self._last[0] + max(self._frames) <= index
        # Timestamps are rounded to their time base.
        return stamp is not None and self._last[1] + max(self._seconds) <= stamp + 1e-3

    def is_late(self, stamp: float) -> bool:
        """Whether it should have come by this timestamp."""
        return self._last is not None and stamp > self._last[1] + _LATE * max(self._seconds, default=0.0)

    def forget(self) -> None:
        """What was measured holds no more."""
        self._last, self._frames, self._seconds = None, [], []
