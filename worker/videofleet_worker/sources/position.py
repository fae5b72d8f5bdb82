"""Where a run stands, so that frame numbers and timestamps go on over reconnects."""


class RunPosition:
    """Turns the numbers and times of each connection, which begin at 0, into those of the run. Pure."""

    def __init__(self) -> None:
        self._index_offset = 0
        self._pts_offset = 0.0
        self._next_index = 0
        self._last_pts = 0.0
        self._last_taken: float | None = None
        self._new_connection = False

    def begin_connection(self) -> None:
        """The frames that follow come from a new connection."""
        self._new_connection = True

    def place(self, index: int, pts: float, taken: float) -> tuple[int, float]:
        """Number and seconds in the run. Raises ValueError when a connection counts backwards."""
        if self._new_connection:
            self._continue(pts, taken)
        run_index, run_pts = index + self._index_offset, pts + self._pts_offset
        if run_index < self._next_index or run_pts < self._last_pts:
            raise ValueError(f"frame {run_index} at {run_pts:.3f} s comes after {self._last_pts:.3f} s")
        self._next_index, self._last_pts, self._last_taken = run_index + 1, run_pts, taken
        return run_index, run_pts

    def _continue(self, pts: float, taken: float) -> None:
        self._new_connection = False
        self._index_offset = self._next_index
        gap = max(0.0, taken - self._last_taken) if self._last_taken is not None else 0.0
        self._pts_offset = self._last_pts + gap - pts if self._last_taken is not None else 0.0
