"""Frames of one connection on their way to the consumer."""

from collections import deque

from videofleet_api.codes import DropCause
from videofleet_worker.decode.frame import MAX_AGE, Frame
from videofleet_worker.sources.clock import Clock
from videofleet_worker.sources.context import FrameRing
from videofleet_worker.sources.counters import Counters


class ReadyFrames:
    """Those that nobody has taken yet, the oldest first. Of a live source only what is fresh is given out."""

    def __init__(self, clock: Clock, counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self._frames: deque[tuple[Frame, float]] = deque()

    def put(self, frame: Frame, taken: float, ring: FrameRing, *, live: bool) -> None:
        """One that came in a slot of the ring, and was taken from its source at a monotonic time.

        Of a live source a slot is kept free for what comes next: an older frame goes, so that the newest lives.
        """
        self._frames.append((frame, taken))
        if live and ring.full and len(self._frames) > 1:
            self._frames.popleft()[0].release()
            self._counters.drop(DropCause.NO_SLOT)

    def pop(self, *, live: bool) -> Frame | None:
        """The next frame, if there is one; it is the caller's to release."""
        while self._frames:
            frame, taken = self._frames.popleft()
            if not live or self._clock.monotonic() - taken <= MAX_AGE:
                return frame
            frame.release()
            self._counters.drop(DropCause.STALE)
        return None

    def drop(self) -> None:
        """Nobody takes them any more."""
        while self._frames:
            self._frames.popleft()[0].release()
