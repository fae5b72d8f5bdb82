"""Looks at the ends of logs: one for all who ask at the same time, and for those who take one that is not quite new."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

_MOST: Final = 10_000
"""That are remembered."""

T = TypeVar("T")


@dataclass(slots=True)
class _Look(Generic[T]):
    answer: asyncio.Task[T]
    begun: float

    @property
    def failed(self) -> bool:
        return self.answer.done() and (self.answer.cancelled() or self.answer.exception() is not None)


class Looks(Generic[T]):
    """`look` asks the store about one log. `clock` gives seconds."""

    def __init__(
        self, look: Callable[[str], Coroutine[Any, Any, T]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._last: dict[str, _Look[T]] = {}

    async def at(self, prefix: str, age: float = 0.0) -> T:
        """What a look tells that is under way now, or was begun less than `age` seconds ago; else of a new one."""
        known, now = self._last.get(prefix), self._clock()
        if known is None or known.failed or (known.answer.done() and now - known.begun >= age):
            known = _Look(asyncio.create_task(self._look(prefix)), now)
            self._last.pop(prefix, None)
            self._last[prefix] = known
            while len(self._last) > _MOST:
                del self._last[next(iter(self._last))]
        # One who asks no longer takes it from nobody else.
        return await asyncio.shield(known.answer)

    async def close(self) -> None:
        """Wait for those that are under way."""
        under_way = [look.answer for look in self._last.values()]
        self._last.clear()
        await asyncio.gather(*under_way, return_exceptions=True)
