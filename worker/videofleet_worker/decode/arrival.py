"""When was a live picture taken? Arrival times cleaned of jitter, and pacing of sources that are pulled."""

from collections.abc import Callable

# The smallest delay seen in this many seconds is the delay of the way itself; what is above it is queueing.
_WINDOW = 10.0
# A timestamp further off than this is a new time axis, not a delay.
_BREAK = 5.0
_BACKWARD = 1.0
# Packets of a lump follow each other faster than their timestamps; from this share on it counts as their own pace.
_PACE = 0.7


class ArrivalClock:
    """Estimates when a frame left the camera from when its packets arrived.

    A packet can arrive late (a burst after a stall, a reader that starts with a full buffer) but never early, so the
    smallest difference between arrival and timestamp within a window is the truth for all frames of that window.

    steady: whether the last packet came as long after the one before as their timestamps say.
    """

    def __init__(self) -> None:
        self._current = float("inf")
        self._previous = float("inf")
        self._window_start = float("-inf")
        self._last_raw = float("-inf")
        self._last_arrival = 0.0
        self._shown: float | None = None
        self.steady = False

    def observe(self, raw: float | None, arrival: float) -> None:
        """Take note of a packet with timestamp `raw` (seconds) that arrived at the monotonic time `arrival`."""
        self.steady = raw is not None and 0 < (raw - self._last_raw) * _PACE <= arrival - self._last_arrival
        self._last_arrival = arrival
        if raw is None:
            return
        if self._shown is None:
            self._shown = raw
        delay = arrival - raw
        if raw < self._last_raw - _BACKWARD or delay > self._smallest() + _BREAK:
            self._restart(arrival)
        elif arrival - self._window_start > _WINDOW:
            self._previous, self._current, self._window_start = self._current, delay, arrival
        self._current = min(self._current, delay)
        self._last_raw = raw

    def taken_at(self, raw: float | None) -> float:
        """The monotonic time at which the frame with the timestamp `raw` was (about) sent; never after its arrival.

        One without a timestamp, as RTSP's first is, counts as old as the one before it, or the first that has one.
        """
        if raw is not None:
            self._shown = raw
        smallest = self._smallest()
        if self._shown is None or smallest == float("inf"):
            return self._last_arrival
        return min(self._shown + smallest, self._last_arrival)

    def _smallest(self) -> float:
        return min(self._current, self._previous)

    def _restart(self, arrival: float) -> None:
        self._current = self._previous = float("inf")
        self._window_start = arrival


class Pacer:
    """Spreads what a pulled live source (HLS) delivers in lumps over the time it is meant to be shown at."""

    def __init__(self, sleep: Callable[[float], object], slack: float = 2.0) -> None:
        """`slack`: seconds of lateness or earliness after which the schedule starts anew."""
        self._sleep = sleep
        self._slack = slack
        self._origin: float | None = None
        self._last_raw = 0.0

    def wait(self, raw: float | None, now: float) -> float:
        """Sleep until the packet with timestamp `raw` is due; returns the monotonic time at which it counts as come."""
        if raw is None:
            return now
        if self._origin is None or abs(raw - self._last_raw) > _BREAK or now - (self._origin + raw) > self._slack:
            self._origin = now - raw
        self._last_raw = raw
        due = self._origin + raw
        if due > now:
            self._sleep(due - now)
        return max(due, now)
