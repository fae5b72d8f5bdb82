"""Whose frame is looked at next: streams wait for their turn before they choose a frame, not after."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType


class Turns:
    """So many frames are looked at at a time, first come, first served. Use with `async with`; for one event loop.

    A frame that waits in a queue grows old there. A live stream that waits for its turn takes the frame that is the
    newest when its turn comes.
    """

    def __init__(self, room: Callable[[], int]) -> None:
        """`room`: how many may have their turn at a time; asked again whenever one has ended."""
        self._room = room
        self._at_work = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._call()
        try:
            await turn
        except asyncio.CancelledError:
            # It may have been called in the same moment.
            if not turn.cancelled():
                self._end()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._at_work -= 1
        self._call()

    def _call(self) -> None:
        while self._waiting and self._at_work < self._room():
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._at_work += 1
                turn.set_result(None)
