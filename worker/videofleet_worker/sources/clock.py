"""Time, handed in so that the order of events can be tested without waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The two things a source needs of time."""

    def monotonic(self) -> float:
        """Seconds that never go back, on the axis of CLOCK_MONOTONIC, which the decoding children share."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
