"""What of a log is durable, and reading it."""

import asyncio
from collections.abc import AsyncGenerator

from videofleet_archive import log
from videofleet_archive.errors import ArchiveCorruptError, BelowHorizonError, BeyondEndError
from videofleet_archive.threads import StoreThreads


class LogView:
    """The durable part of one log. The writer moves its end, readers wait for that."""

    def __init__(self, threads: StoreThreads, prefix: str, extent: log.Extent, *, closed: bool) -> None:
        self.threads = threads
        self.prefix = prefix
        self.extent = extent
        self._closed = closed
        self._changed = asyncio.Condition()

    @property
    def closed(self) -> bool:
        """Whether nothing will be added any more by this process."""
        return self._closed

    async def renew(self, extent: log.Extent, *, closed: bool) -> None:
        """Another look at a log that went on elsewhere meanwhile."""
        self.extent = extent
        self._closed = closed
        async with self._changed:
            self._changed.notify_all()

    async def advance(self, size: int) -> None:
        """A segment of `size` bytes at the end is durable now."""
        self.extent.append(size)
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
        while True:
            while offset < self.extent.end:
                data = await self._from(offset)
                offset += len(data)
                yield data
            if self._closed:
                return
            await self._beyond(offset)

    async def _from(self, offset: int) -> bytes:
        self.check(offset)
        segment = self.extent.locate(offset)
        key = log.segment_key(self.prefix, segment.offset)
        data = await self.threads.call(self.threads.store.read, key)
        if data is None:
            # Dropped while we read: then the horizon has moved, and says so.
            self.check(offset)
            raise ArchiveCorruptError(f"the archive lacks {key}")
        return data[offset - segment.offset :]

    async def _beyond(self, offset: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self.extent.end > offset)
