"""A recorded source no faster than it is to be."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from videofleet_worker.decode.frame import Frame
from videofleet_worker.sources.clock import Clock


class Pace:
    """When frames are due: at `speed` times the pace at which they play. What came late is not made up for, so that
    frames never come faster."""

    def __init__(self, speed: float, clock: Clock) -> None:
        self._speed = speed
        self._clock = clock
        self._last: tuple[float, float] | None = None

    async def wait(self, pts: float) -> None:
        """Until the frame with this time in the source, in seconds, is due."""
        now = self._clock.monotonic()
        due = now
        if self._last is not None:
            last_pts, last_due = self._last
            # A time that goes back is no pause.
            due = max(now, last_due + max(0.0, pts - last_pts) / self._speed)
        self._last = pts, due
        if due > now:
            await self._clock.sleep(due - now)


async def paced(frames: AsyncGenerator[Frame, None], pace: Pace) -> AsyncGenerator[Frame, None]:
    """The frames, each when it is due. The receiver releases them."""
    async with aclosing(frames):
        async for frame in frames:
            try:
                await pace.wait(frame.pts)
            except BaseException:
                frame.release()
                raise
            yield frame
