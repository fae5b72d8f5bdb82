"""Logs read from the archive alone, without the worker that writes them: what a gateway serves to its clients.

    threads = StoreThreads(Location("s3://bucket/prefix", ...).open(), ThreadPoolExecutor(16))
    logs = Logs(threads)                       # one for a process
    prefix = archive_prefix(namespace, uid, run, analytics)
    async with logs.open(prefix) as log:       # however many open the same log, the store is asked once
        log.start, log.end                     # horizon and end, offsets in bytes
        log.ending                             # FinishReason, usage and error of a run that is over, else None
        log.check(offset)                      # BelowHorizonError(.oldest), BeyondEndError(.end)
        async for data in log.read(offset):    # the bytes from there on, then those to come, up to [DONE]
            await response.write(data)

`read` ends after `[DONE]` and else goes on until its reader stops it (break, aclose, cancellation); `read(offset,
follow=False)` ends with what is durable now. A log that does not exist yet is empty, and grows once it is written. A
store that is away is asked again and again, and `log.problem` tells about it meanwhile. Who knows how far the log is
says so with `log.wake(end)`: it is looked at when there is something. Without that, more is found within a second. In a
bucket, results of a live source that no one reads from its worker are sealed only every ten seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson

from videofleet_archive import log
from videofleet_archive.acquire import Ending, ending_in, ending_of, scan
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.extent import Extent, Segment, segment_key
from videofleet_archive.store import Store
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView

_LOGGER: Final = logging.getLogger(__name__)
_GROWTH: Final = 1.5
_SCAN_EVERY: Final = 60
"""Looks at the end without anything new, after which the whole log is listed again."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between two looks at the end of a log that nobody says anything about: more and more while it rests."""

    first: float = 0.1
    longest: float = 1.0
    attended: float = 3.0
    """Where all is there that was told of. Whoever tells may be wrong: another worker may go on with the log."""


class OpenLog:
    """A log as it lies in the archive, and how it grows. Made by `Logs.open`."""

    def __init__(self, threads: StoreThreads, prefix: str, waits: Waits) -> None:
        self.prefix = prefix
        self.ending: Ending | None = None
        """How the run ended; None while it is not over."""
        self.problem: str | None = None
        """Why the archive could not be looked at just now; None where it could."""
        self._threads = threads
        self._view = LogView(threads, prefix, Extent(), closed=False)
        self._view.on_missing = self.look
        self._following: asyncio.Task[None] | None = None
        self._failure: ArchiveCorruptError | None = None
        self._waits = waits
        self._woken = asyncio.Event()
        self._told: int | None = None
        """How far the log is, as was told; None where nobody tells it."""

    @property
    def start(self) -> int:
        """The horizon: the oldest offset that can be read. Begins an event."""
        return self._view.extent.start

    @property
    def end(self) -> int:
        """Offset after the last byte that is durable."""
        return self._view.extent.end

    def check(self, offset: int) -> None:
        """Raise BelowHorizonError or BeyondEndError when `offset` cannot be read."""
        self._view.check(offset)

    async def read(self, offset: int, *, follow: bool = True) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` on: what is durable at once, and then what comes, up to `[DONE]`.

        Raises as `check` does, also later, when a slow reader falls behind the horizon; ArchiveError where the store
        fails, ArchiveCorruptError where the log cannot be understood.
        """
        if follow and self.ending is None and self._following is None:
            self._following = asyncio.create_task(self._follow(), name=f"follow {self.prefix}")
        end = None if follow else self.end
        async with contextlib.aclosing(self._view.read(offset)) as pieces:
            if end is not None and offset >= end:
                return
            async for data in pieces:
                yield data if end is None else data[: end - offset]
                offset += len(data)
                if end is not None and offset >= end:
                    return
        if self._failure is not None:
            raise self._failure

    async def offset_at(self, time: float) -> int:
        """Where the first result begins that was captured at this Unix time or later; the end where there is none."""
        return await self._threads.call(offset_at, self._threads.store, self.prefix, self._view.extent, time)

    async def look(self) -> None:
        """Look at the whole log. Raises ArchiveError, ArchiveCorruptError."""
        extent, ending = await self._threads.call(_look, self._threads.store, self.prefix)
        if extent.end >= self.end:
            self.ending = ending
            await self._view.renew(extent, closed=ending is not None)

    def wake(self, end: int | None = None) -> None:
        """The log has bytes up to `end`: who follows it looks at once for those that are new, and seldom beyond them.

        Without an end nobody knows how far it is from now on: who follows it looks at once, and then as usual.
        """
        self._told = end
        if end is None or end > self.end:
            self._woken.set()

    async def close(self) -> None:
        """Look no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._view.close()

    async def _follow(self) -> None:
        wait, looks = self._waits.first, 0
        while self.ending is None:
            self._woken.clear()
            try:
                grown = await self._grow()
                looks = 0 if grown else looks + 1
                if looks >= _SCAN_EVERY:
                    looks = 0
                    await self.look()
                self.problem = None
            except ArchiveError as error:
                if self.problem is None:
                    _LOGGER.warning("cannot follow %s: %s", self.prefix, error)
                self.problem, grown = str(error), False
            except ArchiveCorruptError as error:
                self._failure = error
                await self._view.close()
                return
            is_all = self._told is not None and self.end >= self._told
            if grown and not is_all:
                wait = self._waits.first
            elif await self._is_woken(self._waits.attended if is_all else wait):
                # What was told of may show in the store a moment later.
                wait = self._waits.first
            else:
                wait = min(wait * _GROWTH, self._waits.longest)

    async def _is_woken(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        return self._woken.is_set()

    async def _grow(self) -> bool:
        """Whether there was a segment more. Its key is known: no listing is needed."""
        store, at = self._threads.store, self.end
        data = await self._threads.call(store.read, segment_key(self.prefix, at))
        if data is None:
            return False
        if self.end != at:
            # Whoever opened the log meanwhile has looked at all of it, and found this segment too.
            return True
        ending = ending_in(self.prefix, data)
        await self._view.advance(data)
        if ending is not None:
            self.ending = ending
            await self._view.close()
        return True


class Logs:
    """The logs that are open in this process, each shared by all that read it."""

    def __init__(self, threads: StoreThreads, waits: Waits | None = None) -> None:
        self.threads = threads
        self._waits = waits or Waits()
        self._open: dict[str, OpenLog] = {}
        self._users: dict[str, int] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def open(self, prefix: str) -> AsyncIterator[OpenLog]:
        """The log under the prefix as it is now. Raises ArchiveError, ArchiveCorruptError."""
        self._users[prefix] = self._users.get(prefix, 0) + 1
        try:
            yield await self._shared(prefix)
        finally:
            self._users[prefix] -= 1
            if not self._users[prefix]:
                del self._users[prefix]
                self._opening.pop(prefix, None)
                one = self._open.pop(prefix, None)
                if one is not None:
                    await one.close()

    async def read_object(self, key: str) -> bytes | None:
        """Another object of the archive, results.json or a picture; None where there is none. Raises ArchiveError."""
        return await self.threads.call(self.threads.store.read, key)

    async def _shared(self, prefix: str) -> OpenLog:
        async with self._opening.setdefault(prefix, asyncio.Lock()):
            one = self._open.get(prefix)
            if one is None:
                one = OpenLog(self.threads, prefix, self._waits)
                await one.look()
                self._open[prefix] = one
            elif one.ending is None:
                await one.look()
            return one


def offset_at(store: Store, prefix: str, extent: Extent, time: float) -> int:
    """Where the first event begins whose frame was captured at this Unix time or later; else the end. Blocking."""
    for piece in extent.segments:
        if piece.modified < time:
            # Stored before then, so captured before.
            continue
        found = _first_in(store, prefix, piece, time)
        if found is not None:
            return found
    return extent.end


def _first_in(store: Store, prefix: str, piece: Segment, time: float) -> int | None:
    data = store.read(piece.key(prefix))
    if data is None:
        raise ArchiveError(f"the piece of {prefix} at {piece.offset} has gone while it was read")
    for at, block in log.blocks(data):
        for document in log.documents(block):
            if orjson.loads(document)["stream_info"]["capture_time"] >= time:
                return piece.offset + at
    return None


def _look(store: Store, prefix: str) -> tuple[Extent, Ending | None]:
    extent = scan(store, prefix)
    return extent, ending_of(store, prefix, extent)
