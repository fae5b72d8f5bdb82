"""Time that a test moves."""

import asyncio


class HandClock:
    """Stands still but while somebody sleeps, and where it is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        await asyncio.sleep(0)
