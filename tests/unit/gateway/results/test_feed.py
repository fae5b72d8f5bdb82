"""One log, followed once for all who listen to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.archives import (
    PREFIX,
    Away,
    FaultyStore,
    becomes,
    mark,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive.errors import ArchiveCorruptError, BelowHorizonError
from videofleet_archive.extent import segment_key
from videofleet_archive.log import DONE, event
from videofleet_archive.reader import Logs
from videofleet_archive.store import ObjectArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy
from videofleet_gateway.results.blocks import BLOCK_BYTES, Block, Blocks
from videofleet_gateway.results.feed import Feed
from videofleet_gateway.results.feeds import Feeds
from videofleet_gateway.results.wire import Part, Wire

A_SEGMENT_AN_EVENT = SealPolicy(seconds=0, segment_bytes=1)


@dataclass
class Client:
    """What one client gets: over its wire while it waits at the tip, and else by reading."""

    feed: Feed
    offset: int = 0
    wire: Wire | None = None
    over_wire: int = 0
    read: list[bytes] = field(default_factory=list)

    async def listen(self) -> bytes:
        """Until the feed is over; what was read, without what went over the wire."""
        tap = self.feed.tap(self.offset, self.wire, chunked=False, sent=self._sent)
        while not self.feed.stopped:
            if tap.offset < self.feed.tip:
                data = await self.feed.read(tap.offset)
                self.read.append(data)
                tap.offset += len(data)
            elif self.feed.over:
                self.feed.check()
                break
            else:
                await tap.wait()
        return b"".join(self.read)

    def _sent(self, size: int) -> None:
        self.over_wire += size


@asynccontextmanager
async def wire() -> AsyncIterator[tuple[Wire, Callable[[], bytes]]]:
    """A connection, and what has come out at its other end when it is asked for."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    far.setblocking(False)

    def come_out() -> bytes:
        got = b""
        while True:
            try:
                got += far.recv(2**20)
            except BlockingIOError:
                return got

    try:
        yield Wire(transport), come_out
    finally:
        transport.abort()
        far.close()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(ObjectArchive.in_memory())


@pytest.fixture
async def threads(store: FaultyStore) -> AsyncIterator[StoreThreads]:
    async with threads_over(store) as threads:
        yield threads


@pytest.fixture
def feeds(threads: StoreThreads) -> Feeds:
    return Feeds(Logs(threads))


@pytest.fixture
async def writer(store: FaultyStore, threads: StoreThreads) -> AsyncIterator[LogWriter]:
    """Writes to the store directly: its calls are not counted."""
    one = await open_writer(threads.with_store(store.real), 1, policy=A_SEGMENT_AN_EVENT)
    yield one
    await one.abandon()


async def finish(writer: LogWriter, frames: int) -> None:
    await writer.finish(terminal(frames), mark(frames))


async def test_a_thousand_who_listen_cost_the_store_no_more_than_one(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    clients: list[asyncio.Task[bytes]] = []

    async def come() -> bytes:
        async with feeds.open(PREFIX) as feed:
            return await Client(feed).listen()

    clients += [asyncio.create_task(come()) for _ in range(1000)]
    async with feeds.open(PREFIX) as feed:
        await becomes(lambda: len(feed.taps) == 1000, "all listen")
        assert [key for method, key in store.calls if method == "listing"] == [f"{PREFIX}/chunks", f"{PREFIX}/parts"]
        store.calls.clear()
        await write_frames(writer, range(5))
        await finish(writer, 5)
        whole = stored_log(store.real)
        assert set(await asyncio.gather(*clients)) == {whole}
        # Each segment once, and now and then a look for one that is not there yet.
        assert len(store.calls) < 50
        assert {method for method, _ in store.calls} == {"read"}


async def test_who_waits_at_the_tip_gets_the_same_bytes_over_each_wire(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    async with feeds.open(PREFIX) as feed, wire() as (first, out), wire() as (second, out_too):
        clients = [Client(feed, feed.tip, one) for one in (first, second)]
        begin = feed.tip
        listening = [asyncio.create_task(client.listen()) for client in clients]
        await becomes(lambda: len(feed.taps) == 2, "both wait")
        await write_frames(writer, range(3))
        await finish(writer, 3)
        assert await asyncio.gather(*listening) == [b"", b""]
        whole = stored_log(store.real)
        assert out() == out_too() == whole[begin:]
        assert [client.over_wire for client in clients] == [len(whole) - begin] * 2


async def test_one_who_does_not_take_what_it_is_sent_holds_up_nobody_and_loses_nothing(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    async with feeds.open(PREFIX) as feed, wire() as (slow, _), wire() as (fast, out_fast):
        begin = feed.tip
        clients = [Client(feed, begin, slow), Client(feed, begin, fast)]
        listening = [asyncio.create_task(client.listen()) for client in clients]
        await becomes(lambda: len(feed.taps) == 2, "both wait")
        fast_got = b""
        for first in range(0, 1200, 100):
            await write_frames(writer, range(first, first + 100))
            fast_got += out_fast()
        await finish(writer, 1200)
        slow_read, fast_read = await asyncio.gather(*listening)
        whole = stored_log(store.real)
        # The slow one's connection held a bounded part of it; from there on it read by itself.
        assert 0 < clients[0].over_wire < 200_000 < len(whole)
        assert slow_read == whole[begin + clients[0].over_wire :]
        assert clients[1].over_wire + len(fast_read) == len(whole) - begin
        assert whole[begin:].startswith(fast_got)


async def test_one_who_is_ahead_waits_until_the_log_has_come_so_far(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    async with feeds.open(PREFIX) as feed:
        offset = feed.tip + 700
        listening = asyncio.create_task(Client(feed, offset).listen())
        await becomes(lambda: len(feed.taps) == 1, "it waits")
        await write_frames(writer, range(10))
        await finish(writer, 10)
        assert await listening == stored_log(store.real)[offset:]


async def test_who_joins_late_reads_what_others_have_read_without_asking_the_store(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    await write_frames(writer, range(2000))
    await finish(writer, 2000)
    whole = stored_log(store.real)
    assert len(whole) > 2 * BLOCK_BYTES
    async with feeds.open(PREFIX) as feed:
        assert await Client(feed).listen() == whole
        store.calls.clear()
        others = [Client(feed, offset) for offset in (0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, len(whole) - 1)]
        for client in others:
            assert await client.listen() == whole[client.offset :]
        assert store.calls == []


async def test_who_is_below_the_horizon_is_told(feeds: Feeds, writer: LogWriter) -> None:
    writer.use(SealPolicy(seconds=0, segment_bytes=1, keep_bytes=2000))
    await write_frames(writer, range(30))
    await writer.close()
    async with feeds.open(PREFIX) as feed:
        with pytest.raises(BelowHorizonError) as below:
            await feed.read(0)
        assert below.value.oldest == feed.start > 0
        assert await feed.read(feed.start)


async def test_a_store_that_is_away_is_waited_for(store: FaultyStore, feeds: Feeds, writer: LogWriter) -> None:
    await write_frames(writer, range(10))
    await finish(writer, 10)
    async with feeds.open(PREFIX) as feed:
        away = Away()
        store.fault = away
        listening = asyncio.create_task(Client(feed).listen())
        store.calls.clear()
        await becomes(lambda: store.calls != [], "it has asked")
        away.back()
        assert await listening == stored_log(store.real)


async def test_a_log_that_cannot_be_understood_ends_those_who_listen(
    store: FaultyStore, feeds: Feeds, writer: LogWriter
) -> None:
    async with feeds.open(PREFIX) as feed:
        listening = asyncio.create_task(Client(feed).listen())
        await becomes(lambda: len(feed.taps) == 1, "it waits")
        store.real.create(segment_key(PREFIX, feed.tip), event(feed.tip, DONE))
        with pytest.raises(ArchiveCorruptError):
            await listening


async def test_all_are_sent_away_and_so_are_those_who_come_later(feeds: Feeds, writer: LogWriter) -> None:
    await write_frames(writer, range(10))
    async with feeds.open(PREFIX) as feed:
        listening = [asyncio.create_task(Client(feed).listen()) for _ in range(3)]
        await becomes(lambda: len(feed.taps) == 3, "all wait")
        feeds.stop()
        await asyncio.gather(*listening)
    async with feeds.open(PREFIX) as later:
        assert await Client(later).listen() == b""


async def test_silence_is_told_and_counted_from_the_last_byte(feeds: Feeds, writer: LogWriter) -> None:
    async with feeds.open(PREFIX) as feed, wire() as (one, _):
        sent: list[int] = []
        tap = feed.tap(feed.tip, one, chunked=True, sent=sent.append)
        assert not await tap.wait(0.01)
        waiting = asyncio.create_task(tap.wait(3600))
        await becomes(lambda: tap in feed.taps, "it waits")
        await write_frames(writer, range(1))
        await becomes(lambda: sent != [], "it got something")
        assert not waiting.done()
        waiting.cancel()


async def test_what_is_handed_out_after_a_wait_is_over_is_left_to_the_client(feeds: Feeds, writer: LogWriter) -> None:
    async with feeds.open(PREFIX) as feed, wire() as (one, out):
        tap = feed.tap(feed.tip, one, chunked=True, sent=lambda size: None)
        assert not await tap.wait(0.01)
        tap.take(Part.of(tap.offset, b"data"), 0)
        assert (out(), tap.offset) == (b"", feed.tip)


def test_the_blocks_that_were_not_asked_for_longest_make_room() -> None:
    blocks = Blocks(most_bytes=2 * BLOCK_BYTES)
    for number in range(3):
        blocks.keep("log", Block(number * BLOCK_BYTES, bytes(BLOCK_BYTES)))
        assert blocks.find("log", 0) is not None
    assert blocks.find("log", BLOCK_BYTES) is None
    assert blocks.find("log", 2 * BLOCK_BYTES) is not None
    assert blocks.find("another", 0) is None
    assert blocks.bytes == 2 * BLOCK_BYTES


def test_a_block_that_has_grown_takes_the_place_of_the_shorter_one() -> None:
    blocks = Blocks()
    blocks.keep("log", Block(0, b"a"))
    assert blocks.find("log", 1) is None
    blocks.keep("log", Block(0, b"ab"))
    found = blocks.find("log", 1)
    assert found is not None
    assert (found.data, blocks.bytes) == (b"ab", 2)
