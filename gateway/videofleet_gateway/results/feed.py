"""A log as it grows, followed once for all of its clients.

    async with feeds.open(prefix) as feed:
        tap = feed.tap(offset, wire, chunked=True, sent=count)
        while not feed.stopped:
            if tap.offset < feed.tip:
                data = await feed.read(tap.offset)  # what is older: through a cache, and each at its own speed
                ...                                 # send it, wait for the client to take it
                tap.offset += len(data)
            elif feed.over:
                break
            else:
                await tap.wait()                    # meanwhile what is new goes to all of the wires at once

A client is slow alone: its wire refuses, its tap wakes, and it reads by itself until it is at the tip again.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

from videofleet_archive.acquire import Ending
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, BelowHorizonError
from videofleet_archive.reader import OpenLog
from videofleet_gateway.results.blocks import BLOCK_BYTES, Block, Blocks
from videofleet_gateway.results.wire import Part, Wire

_RECENT_BYTES: Final = 512 * 1024
_STEP_BYTES: Final = 64 * 1024
"""Most that is read at once for one client."""
_TURN: Final = 100
"""Clients that get a part before others have their turn."""
_AGAIN_SECONDS: Final = 1.0
_SHORTEST_WAIT: Final = 0.1


class Tap:
    """One client's place in a log."""

    def __init__(
        self, feed: "Feed", offset: int, wire: Wire | None, *, chunked: bool, sent: Callable[[int], None]
    ) -> None:
        self.offset = offset
        """Of the next byte that it gets."""
        self._feed = feed
        self._wire = wire
        self._chunked = chunked
        self._sent = sent
        self._quiet_since = 0.0
        self._waiting: asyncio.Future[None] | None = None

    async def wait(self, seconds: float | None = None) -> bool:
        """Until there is something that the client has to get in the ordinary way, or nothing more at all.

        False: it has got nothing for so many seconds.
        """
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        self._quiet_since = loop.time()
        self._feed.taps.add(self)
        try:
            while not (waiting.done() or self._feed.over or self._feed.tip > self.offset):
                left = None
                if seconds is not None:
                    left = self._quiet_since + seconds - loop.time()
                    if left <= 0 and self._feed.between_lines:
                        return False
                    left = max(left, _SHORTEST_WAIT)
                await asyncio.wait({waiting}, timeout=left)
            return True
        finally:
            # What is handed out from here on is not for this place: its client reads by itself.
            self._waiting = None
            self._feed.taps.discard(self)

    def take(self, part: Part, now: float) -> None:
        """A part that is new."""
        if self._waiting is None or self._waiting.done() or self.offset >= part.end:
            return
        if self._wire is None or self.offset != part.begin or not self._wire.send(part, chunked=self._chunked):
            self.wake()
            return
        self.offset, self._quiet_since = part.end, now
        self._sent(len(part.data))

    def wake(self) -> None:
        """End its wait."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Feed:
    """One log and all who listen to it. Made by `Feeds`."""

    def __init__(self, log: OpenLog, blocks: Blocks) -> None:
        self.tip = log.end
        """Offset after the last byte that was handed out."""
        self.over = False
        """Nothing is handed out any more."""
        self.stopped = False
        """Clients are to go, wherever in the log they are."""
        self.taps: set[Tap] = set()
        """Those who wait at the tip."""
        self._log = log
        self._blocks = blocks
        self._reading = asyncio.Lock()
        self._recent: deque[Block] = deque()
        """The newest bytes, which the log itself keeps as well."""
        self._recent_bytes = 0
        self._failure: ArchiveCorruptError | None = None
        self._following = asyncio.create_task(self._follow(), name=f"feed {log.prefix}")

    @property
    def start(self) -> int:
        """The oldest offset that can be read."""
        return self._log.start

    @property
    def end(self) -> int:
        """Offset after the last byte that is durable."""
        return self._log.end

    @property
    def ending(self) -> Ending | None:
        """How the run ended; None while it is not over."""
        return self._log.ending

    @property
    def between_lines(self) -> bool:
        """Whether something may be sent that is no part of the log. A log that was read in pieces may end anywhere."""
        return not self._recent or self._recent[-1].data.endswith(b"\n")

    def tap(self, offset: int, wire: Wire | None, *, chunked: bool, sent: Callable[[int], None]) -> Tap:
        """A place for a client. `sent` is told how many bytes went out while it waited."""
        return Tap(self, offset, wire, chunked=chunked, sent=sent)

    async def read(self, offset: int) -> bytes:
        """Some bytes from `offset` on, which is below the tip. While the store is away this waits for it.

        Raises BelowHorizonError, ArchiveCorruptError.
        """
        while True:
            try:
                return self._from_recent(offset) or await self._from_block(offset)
            except ArchiveError:
                await asyncio.sleep(_AGAIN_SECONDS)

    def finish(self) -> None:
        """Clients get what was handed out, and nothing after that."""
        self._following.cancel()
        self._set_over()

    def stop(self) -> None:
        """Send all clients away."""
        self.stopped = True
        self.finish()

    async def close(self) -> None:
        """Follow no more."""
        self.stop()
        await asyncio.gather(self._following, return_exceptions=True)

    def check(self) -> None:
        """Raises ArchiveCorruptError where the feed is over because its log cannot be understood."""
        if self._failure is not None:
            raise self._failure

    async def _follow(self) -> None:
        try:
            while not self.over:
                try:
                    async with contextlib.aclosing(self._log.read(self.tip)) as parts:
                        async for data in parts:
                            await self._hand_out(Part.of(self.tip, data))
                    return
                except ArchiveError:
                    await asyncio.sleep(_AGAIN_SECONDS)
        except BelowHorizonError:
            # The store was away for so long that results were dropped which nobody has had.
            return
        except ArchiveCorruptError as error:
            self._failure = error
        finally:
            self._set_over()

    def _set_over(self) -> None:
        self.over = True
        for tap in self.taps:
            tap.wake()

    async def _hand_out(self, part: Part) -> None:
        self.tip = part.end
        self._keep(Block(part.begin, part.data))
        now = asyncio.get_running_loop().time()
        for count, tap in enumerate(tuple(self.taps), 1):
            tap.take(part, now)
            if count % _TURN == 0:
                await asyncio.sleep(0)

    def _keep(self, block: Block) -> None:
        self._recent.append(block)
        self._recent_bytes += len(block.data)
        while self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft().data)

    def _from_recent(self, offset: int) -> bytes:
        for block in reversed(self._recent):
            if block.begin <= offset < block.end:
                return block.data[offset - block.begin : offset - block.begin + _STEP_BYTES]
        return b""

    async def _from_block(self, offset: int) -> bytes:
        self._log.check(offset)
        prefix = self._log.prefix
        block = self._blocks.find(prefix, offset)
        if block is None:
            async with self._reading:
                block = self._blocks.find(prefix, offset)
                if block is None:
                    block = await self._read_block(offset)
                    self._blocks.keep(prefix, block)
        at = offset - block.begin
        return block.data[at : at + _STEP_BYTES]

    async def _read_block(self, offset: int) -> Block:
        """The block around a byte, as far as it is durable."""
        first = offset - offset % BLOCK_BYTES
        while True:
            begin = max(first, self.start)
            missing = first + BLOCK_BYTES - begin
            pieces: list[bytes] = []
            try:
                async with contextlib.aclosing(self._log.read(begin, follow=False)) as stored:
                    async for piece in stored:
                        pieces.append(piece[:missing])
                        missing -= len(pieces[-1])
                        if not missing:
                            break
                return Block(begin, b"".join(pieces))
            except BelowHorizonError as error:
                if offset < error.oldest:
                    raise
