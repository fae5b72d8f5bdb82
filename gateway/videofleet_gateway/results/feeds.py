"""The feeds of a process: one for each log that somebody listens to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from videofleet_archive.reader import Logs, OpenLog
from videofleet_gateway.results.blocks import Blocks
from videofleet_gateway.results.feed import Feed

Attend = Callable[[OpenLog], Awaitable[None]]
"""Wakes who follows a log, as long as it may grow."""


@dataclass(slots=True)
class _Shared:
    """A feed and how many use it."""

    users: int = 0
    feed: Feed | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    parts: AsyncExitStack = field(default_factory=AsyncExitStack)


class Feeds:
    """The feeds of this process, one for a log that somebody listens to."""

    def __init__(self, logs: Logs, attend: Attend | None = None) -> None:
        """`attend` is begun with each feed and cancelled with it."""
        self._logs = logs
        self._attend = attend
        self._blocks = Blocks()
        self._shared: dict[str, _Shared] = {}
        self._stopped = False

    @asynccontextmanager
    async def open(self, prefix: str) -> AsyncIterator[Feed]:
        """The feed of the log under `prefix`. Raises ArchiveError, ArchiveCorruptError."""
        shared = self._shared.setdefault(prefix, _Shared())
        shared.users += 1
        try:
            async with shared.opening:
                if shared.feed is None:
                    shared.feed = await shared.parts.enter_async_context(self._begun(prefix))
            yield shared.feed
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[prefix]
                await shared.parts.aclose()

    def of(self, prefix: str) -> Feed | None:
        """The feed of a log that somebody listens to."""
        shared = self._shared.get(prefix)
        return None if shared is None else shared.feed

    def end(self, folder: str) -> None:
        """No log below this folder will grow any more."""
        for prefix, shared in self._shared.items():
            if shared.feed is not None and prefix.startswith(folder):
                shared.feed.finish()

    def stop(self) -> None:
        """Send all clients away, and all who come later."""
        self._stopped = True
        for shared in self._shared.values():
            if shared.feed is not None:
                shared.feed.stop()

    @asynccontextmanager
    async def _begun(self, prefix: str) -> AsyncGenerator[Feed, None]:
        async with self._logs.open(prefix) as log:
            feed = Feed(log, self._blocks)
            if self._stopped:
                feed.stop()
            attending = asyncio.ensure_future(self._attend(log)) if self._attend is not None else None
            try:
                yield feed
            finally:
                if attending is not None:
                    attending.cancel()
                    await asyncio.wait([attending])
                await feed.close()
