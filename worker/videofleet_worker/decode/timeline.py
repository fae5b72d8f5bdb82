"""Timestamps of the source turned into seconds of the run that only ever grow."""

# A step back of less than this is jitter or a repeated timestamp; a longer one is a new time axis
# (the encoder restarted, the counter wrapped, the file was concatenated).
_BACKWARD = 1.0
# How far a live timestamp may run ahead of the clock before it is taken for a new time axis.
_AHEAD_LIVE = 5.0
# Recorded sources may leave out hours (time lapse, motion recording); more than a day is damage.
_AHEAD_RECORDED = 86_400.0
_SMALLEST_STEP = 1e-3


class Timeline:
    """Maps raw timestamps to seconds since the first frame, strictly growing, through jumps, gaps and missing ones."""

    def __init__(self, period: float, *, live: bool) -> None:
        """`period` is the expected seconds between two frames."""
        self._period = period
        self._live = live
        self._offset: float | None = None
        self._last: float | None = None
        self._last_arrival = 0.0

    @property
    def begun(self) -> bool:
        """Whether a frame has been placed."""
        return self._last is not None

    def raw_of(self, pts: float) -> float | None:
        """The raw timestamp that comes to lie at `pts` if nothing jumps; None as long as no frame had one."""
        return None if self._offset is None else pts - self._offset

    def place(self, raw: float | None, arrival: float) -> float:
        """Seconds of the run for a frame with the raw timestamp `raw` that arrived at the monotonic time `arrival`."""
        placed = 0.0 if self._last is None else self._next(self._last, raw, arrival - self._last_arrival)
        if raw is not None and self._offset is None:
            self._offset = placed - raw
        self._last, self._last_arrival = placed, arrival
        return placed

    def pass_by(self, raw: float | None, arrival: float) -> None:
        """A frame that is not placed, in whatever order: should the axis break, what follows comes after it."""
        if raw is None or self._offset is None or self._last is None:
            return
        step = raw + self._offset - self._last
        if 0 < step <= self._furthest(arrival - self._last_arrival):
            self._last, self._last_arrival = self._last + step, arrival

    def _next(self, last: float, raw: float | None, elapsed: float) -> float:
        if raw is None or self._offset is None:
            return last + self._period
        step = raw + self._offset - last
        if step < -_BACKWARD or step > self._furthest(elapsed):
            placed = last + self._step_over_break(elapsed)
            self._offset = placed - raw
            return placed
        return last + max(step, min(_SMALLEST_STEP, self._period))

    def _furthest(self, elapsed: float) -> float:
        return elapsed + _AHEAD_LIVE if self._live else _AHEAD_RECORDED

    def _step_over_break(self, elapsed: float) -> float:
        return max(self._period, elapsed) if self._live else self._period
