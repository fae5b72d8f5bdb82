"""What of a log is durable, and reading it."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from videofleet_archive.errors import ArchiveCorruptError, BelowHorizonError, BeyondEndError
from videofleet_archive.extent import Extent
from videofleet_archive.threads import StoreThreads

_PIECE_BYTES: Final = 1024 * 1024
"""Most that is read at once; a part may be larger."""
_RECENT_BYTES: Final = 512 * 1024


class LogView:
    """The durable part of one log. The writer moves its end, readers wait for that."""

    def __init__(self, threads: StoreThreads, prefix: str, extent: Extent, *, closed: bool) -> None:
        self.threads = threads
        self.prefix = prefix
        self.extent = extent
        self.readers = 0
        """How many read along now."""
        self.on_reader: Callable[[], None] = lambda: None
        """Called when there is one more."""
        self.on_missing: Callable[[], Awaitable[None]] = _nothing
        """Called when a piece has gone; looks at the log again where nobody tells this view how it changes."""
        self._closed = closed
        self._changed = asyncio.Condition()
        # The newest bytes, for the many who read along at the end.
        self._recent: deque[tuple[int, bytes]] = deque()
        self._recent_bytes = 0

    @property
    def closed(self) -> bool:
        """Whether nothing will be added any more by this process."""
        return self._closed

    async def renew(self, extent: Extent, *, closed: bool) -> None:
        """Another look at a log that went on elsewhere meanwhile."""
        self.extent = extent
        self._closed = closed
        async with self._changed:
            self._changed.notify_all()

    async def advance(self, data: bytes) -> None:
        """A segment with these bytes at the end is durable now."""
        self._recent.append((self.extent.end, data))
        self._recent_bytes += len(data)
        while self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft()[1])
        self.extent.append(len(data), time.time())
        async with self._changed:
            self._changed.notify_all()

    async def close(self) -> None:
        """Nothing more will come; readers that wait come to their end."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    def check(self, offset: int) -> None:
        """Raise BelowHorizonError or BeyondEndError when `offset` cannot be read."""
        if offset < self.extent.start:
            raise BelowHorizonError(self.extent.start)
        if offset > self.extent.end:
            raise BeyondEndError(offset, self.extent.end)

    async def read(self, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` on: what is durable at once, then what comes, until the log is closed.

        Raises as `check` does, also later, when a slow reader falls behind the horizon.
        """
        self.check(offset)
        self.readers += 1
        self.on_reader()
        try:
            while True:
                while offset < self.extent.end:
                    data = await self._from(offset)
                    offset += len(data)
                    yield data
                if self._closed:
                    return
                await self._beyond(offset)
        finally:
            self.readers -= 1

    async def _from(self, offset: int) -> bytes:
        """Some bytes from `offset` on."""
        self.check(offset)
        recent = self._from_recent(offset)
        if recent:
            return recent
        segment = self.extent.locate(offset)
        key, begin = segment.key(self.prefix), offset - segment.offset
        end = min(segment.size, begin + _PIECE_BYTES)
        data = await self.threads.call(self.threads.store.read_range, key, begin, end)
        if data is not None:
            return data
        await self.on_missing()
        # Dropped while we read: then the horizon has moved, and says so.
        self.check(offset)
        if self.extent.locate(offset) == segment:
            raise ArchiveCorruptError(f"the archive lacks {key}")
        return await self._from(offset)

    def _from_recent(self, offset: int) -> bytes:
        for begin, data in self._recent:
            if begin <= offset < begin + len(data):
                return data[offset - begin :]
        return b""

    async def _beyond(self, offset: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self.extent.end > offset)


async def _nothing() -> None:
    """The writer in this process has told about it already."""
