"""Segments are merged and dropped while others write and read: every reader gets the bytes that were sealed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.archives import (
    PREFIX,
    FaultyStore,
    chunk,
    ends_of_events,
    ids_of,
    mark,
    open_epoch,
    open_writer,
    terminal,
    threads_over,
)
from videofleet_archive.acquire import look, scan
from videofleet_archive.errors import BelowHorizonError
from videofleet_archive.extent import offset_of_key
from videofleet_archive.merging import Sizes, drop, due, left_over, merge
from videofleet_archive.reader import Logs, OpenLog
from videofleet_archive.store import ObjectArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy

# Everything is old enough at once: readers and writers meet each step at any time.
SIZES = Sizes(merge_seconds=-10.0, delete_seconds=-10.0, part_bytes=900)

Step = tuple[Literal["write", "merge", "clean", "drop", "epoch", "reader", "read"], int]
_steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "merge", "clean", "drop", "epoch", "reader", "read", "read"]),
        st.integers(1, 6),
    ),
    max_size=40,
)


@dataclass
class _Sealed:
    """What was ever stored as a segment, by offset: the log as it would be if nothing were merged or dropped."""

    store: ObjectArchive = field(default_factory=ObjectArchive.in_memory)
    segments: dict[int, bytes] = field(default_factory=dict)

    def whole(self) -> bytes:
        data, at = b"", 0
        while at in self.segments:
            data += self.segments[at]
            at = len(data)
        return data


class _Recording(FaultyStore):
    """Remembers each segment that was created."""

    def __init__(self, sealed: _Sealed) -> None:
        super().__init__(sealed.store)
        self._sealed = sealed

    def create(self, key: str, data: bytes) -> bool:
        created = super().create(key, data)
        offset = offset_of_key(key)
        if created and "/chunks/" in key and offset is not None:
            assert offset not in self._sealed.segments, "a segment is created once"
            self._sealed.segments[offset] = data
        return created


@dataclass
class _Reader:
    """One who reads from the beginning, in small steps."""

    pieces: AsyncGenerator[bytes, None]
    got: bytes = b""
    overtaken: bool = False

    async def read(self, count: int, end: int) -> None:
        """At most so many pieces, of what is known up to this offset."""
        try:
            while count and len(self.got) < end:
                self.got += await anext(self.pieces)
                count -= 1
        except BelowHorizonError:
            self.overtaken = True


class _Story:
    def __init__(self, threads: StoreThreads, sealed: _Sealed) -> None:
        self._threads = threads
        self._sealed = sealed
        self._frame = 0
        self._epoch = 0
        self.writer: LogWriter | None = None
        self.readers: list[_Reader] = []
        self.dropped = False

    async def go(self, log: OpenLog, steps: list[Step]) -> None:
        await self._new_epoch()
        for what, count in steps:
            await self._step(log, what, count)
        assert self.writer is not None
        await self.writer.finish(terminal(self._frame), mark(self._frame))
        # Its own appends are behind what merged here.
        self._merge()
        self._clean()

    async def _step(self, log: OpenLog, what: str, count: int) -> None:
        match what:
            case "write":
                await self._write(count)
            case "merge":
                self._merge()
            case "clean":
                self._clean()
            case "drop":
                self._drop(count * 600)
            case "epoch":
                await self._new_epoch()
            case "reader":
                await log.look()
                begin = log.read(0) if not self.dropped else log.read(log.start)
                self.readers.append(_Reader(begin, self._sealed.whole()[: log.start]))
            case "read":
                for reader in self.readers:
                    if not reader.overtaken:
                        await reader.read(count, log.end)

    async def _new_epoch(self) -> None:
        if self.writer is not None:
            await self.writer.close()
        self._epoch += 1
        opened = await open_epoch(
            self._threads, self._epoch, policy=SealPolicy(seconds=0, segment_bytes=1, merges=False)
        )
        assert opened.writer is not None
        assert (opened.resume.sidecar.frame_index + 1 if opened.resume else 0) == self._frame
        self.writer = opened.writer

    async def _write(self, count: int) -> None:
        assert self.writer is not None
        for _ in range(count):
            end = self.writer.view.extent.end
            await self.writer.append(chunk(self._frame), mark(self._frame))
            self._frame += 1
            async with aclosing(self.writer.view.read(end)) as sealed:
                await anext(sealed)

    def _merge(self) -> None:
        extent = scan(self._threads.store, PREFIX)
        while segments := due(extent, time.time(), SIZES, finished=False):
            extent.merge(merge(self._threads.store, PREFIX, segments))

    def _clean(self) -> None:
        store = self._threads.store
        store.delete(left_over(store, PREFIX, time.time() - SIZES.delete_seconds))

    def _drop(self, keep: int) -> None:
        extent = scan(self._threads.store, PREFIX)
        # The last results stay: an epoch goes on after them.
        gone = [one for one in extent.drop_above(keep) if one.end < extent.end]
        if gone:
            drop(self._threads.store, PREFIX, gone)
            self.dropped = True


async def _told(steps: list[Step]) -> None:
    sealed = _Sealed()
    async with threads_over(_Recording(sealed)) as threads:
        story = _Story(threads, sealed)
        async with Logs(threads).open(PREFIX) as log:
            await story.go(log, steps)
            await log.look()
            whole = sealed.whole()
            assert ids_of(whole) == ends_of_events(whole)
            for reader in story.readers:
                assert whole.startswith(reader.got)
                if not reader.overtaken:
                    await _rest(reader)
                    assert reader.overtaken or reader.got == whole
        found = look(threads.store, PREFIX)
        assert found.ending is not None
        assert found.extent.end == len(whole)
        async with Logs(threads).open(PREFIX) as again:
            assert again.end == len(whole)
            assert story.dropped or again.start == 0
            left = b"".join([data async for data in again.read(again.start)])
            assert left == whole[again.start :]
            assert again.start in {0, *sealed.segments}


async def _rest(reader: _Reader) -> None:
    try:
        async for data in reader.pieces:
            reader.got += data
    except BelowHorizonError:
        reader.overtaken = True


@settings(max_examples=60, deadline=None)
@given(_steps)
def test_readers_get_what_was_sealed_whatever_is_merged_and_dropped_meanwhile(steps: list[Step]) -> None:
    asyncio.run(_told(steps))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=60), st.lists(st.booleans(), max_size=8), st.integers(200, 2000))
def test_two_who_merge_the_same_log_leave_one_log(sizes: list[int], turns: list[bool], part_bytes: int) -> None:
    store = ObjectArchive.in_memory()
    at, whole = 0, b""
    for number, size in enumerate(sizes):
        data = bytes([65 + number % 26]) * size
        store.create(f"{PREFIX}/chunks/{at:016d}", data)
        at, whole = at + size, whole + data
    # Each has looked at another moment, and has other sizes of parts.
    extents = {turn: scan(store, PREFIX) for turn in (True, False)}
    for turn in turns:
        sizes_of = Sizes(-10.0, -10.0, part_bytes if turn else part_bytes // 2)
        segments = due(extents[turn], time.time(), sizes_of, finished=True)
        if segments and all(store.read(one.key(PREFIX)) is not None for one in segments):
            extents[turn].merge(merge(store, PREFIX, segments))
        if turn:
            store.delete(left_over(store, PREFIX, time.time() + 10))
    found = scan(store, PREFIX)
    read = b""
    while len(read) < len(whole):
        piece = found.locate(len(read))
        data = store.read(piece.key(PREFIX))
        assert data is not None
        read += data[len(read) - piece.offset :]
    assert read == whole


async def test_a_writer_does_not_merge_what_is_young() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1))
        for frame in range(5):
            await writer.append(chunk(frame), mark(frame))
        await writer.close()
        assert due(scan(threads.store, PREFIX), time.time(), Sizes(part_bytes=1), finished=True) == []
