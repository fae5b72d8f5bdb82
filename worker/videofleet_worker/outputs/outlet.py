"""Delivery to one receiver: bounded, tried again, and what is lost is counted."""

import asyncio
import logging
from collections import Counter, deque
from typing import Final

from videofleet_worker.outputs.sender import LostError, Message, Sender

_LOGGER: Final = logging.getLogger(__name__)
QUEUE: Final = 256
"""Messages that wait for a receiver; above that the oldest is lost."""
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0)
"""Pauses between the attempts at one message."""


class Outlet:
    """Delivers to one receiver, in order. Nothing waits for it: a receiver that hangs loses its own messages only."""

    def __init__(self, name: str, sender: Sender, retry_seconds: tuple[float, ...] = RETRY_SECONDS) -> None:
        self.name = name
        self.posted = 0
        self.lost: Counter[str] = Counter()
        """Messages by cause: queue_full, forbidden, redirect, refused, failed, timeout, unreachable, tls, no_picture,
        stopped."""
        self._sender = sender
        self._retry_seconds = retry_seconds
        self._waiting: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        return len(self._waiting)

    def use(self, sender: Sender) -> None:
        """Send what waits, and what comes, another way."""
        former, self._sender = self._sender, sender
        former.close()

    def offer(self, message: Message) -> None:
        """Send it when those before it are through."""
        if len(self._waiting) >= QUEUE:
            # The first one is on its way.
            del self._waiting[1]
            self._lose("queue_full", "it takes messages more slowly than they come")
        self._waiting.append(message)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"send to {self.name}")

    async def close(self, seconds: float) -> None:
        """Deliver what waits for at most so long; the rest is lost."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
            await asyncio.wait([self._task])
        for _ in range(len(self._waiting)):
            self._lose("stopped", "the job has ended here")
        self._waiting.clear()
        self._sender.close()

    async def _run(self) -> None:
        while self._waiting:
            message = self._waiting[0]
            try:
                await self._deliver(message)
                self.posted += 1
            except LostError as error:
                self._lose(error.cause, str(error))
            self._waiting.popleft()

    async def _deliver(self, message: Message) -> None:
        for delay in self._retry_seconds:
            try:
                await self._sender.send(message)
            except LostError as error:
                if error.final:
                    raise
                await asyncio.sleep(delay)
            else:
                return
        await self._sender.send(message)

    def _lose(self, cause: str, message: str) -> None:
        self.lost[cause] += 1
        # Once for each cause: of a receiver that is away nothing new can be said.
        if cause not in self._told:
            self._told.add(cause)
            fields = {"output": self.name, "host": self._sender.host, "cause": cause}
            _LOGGER.warning("a message was lost: %s", message, extra=fields)
