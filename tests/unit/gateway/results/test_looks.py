"""How far logs are: what the store is asked for that, and how often."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.archives import PREFIX, Away, FaultyStore, open_writer, terminal, threads_over, write_frames
from tests.support.archives import mark as at
from videofleet_archive.store import ObjectArchive
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.results.archive import Archive
from videofleet_gateway.results.looks import Looks


class Slow:
    """A store whose answers wait for `go`; each is the number of the question."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def look(self, prefix: str) -> int:
        self.asked += 1
        number = self.asked
        await self.go.wait()
        return number


async def test_who_asks_meanwhile_gets_the_same_answer_and_who_comes_later_another() -> None:
    store = Slow()
    looks = Looks(store.look)
    several = [asyncio.create_task(looks.at("a")) for _ in range(5)]
    other = asyncio.create_task(looks.at("b"))
    await asyncio.sleep(0)
    several[0].cancel()
    store.go.set()
    assert await asyncio.gather(*several[1:]) == [1, 1, 1, 1]
    assert await other == 2
    assert await looks.at("a") == 3


async def test_an_answer_that_is_not_quite_new_is_good_for_those_who_say_so() -> None:
    store, now = Slow(), [100.0]
    store.go.set()
    looks = Looks(store.look, lambda: now[0])
    assert await looks.at("a", 1.0) == 1
    now[0] += 0.9
    assert await looks.at("a", 1.0) == 1
    now[0] += 0.2
    assert await looks.at("a", 1.0) == 2
    assert await looks.at("a") == 3


async def test_a_failure_is_told_and_not_remembered() -> None:
    away = True

    async def look(prefix: str) -> str:
        if away:
            raise GatewayErrorOfTest
        return prefix

    looks = Looks(look)
    with pytest.raises(GatewayErrorOfTest):
        await looks.at("a", 60)
    away = False
    assert await looks.at("a", 60) == "a"


class GatewayErrorOfTest(Exception):
    """The store did not answer."""


@pytest.fixture
async def store() -> FaultyStore:
    return FaultyStore(ObjectArchive.in_memory())


@pytest.fixture
async def archive(store: FaultyStore) -> AsyncIterator[Archive]:
    one = Archive(store)
    yield one
    await one.close()


async def test_a_log_that_somebody_listens_to_is_followed_anyway(archive: Archive, store: FaultyStore) -> None:
    async with threads_over(store.real) as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(2))
        async with archive.feed(PREFIX) as feed:
            tap = feed.tap(feed.end, None, chunked=False, sent=lambda size: None)
            asked = len(store.calls)
            assert (await archive.state(PREFIX)).is_open
            assert len(store.calls) == asked
            await writer.finish(terminal(2), at(2, 1))
            while not feed.over:
                await tap.wait()
                tap.offset = feed.tip
            ended = await archive.state(PREFIX)
            assert ended.ending is not None
        # What was found there is known when nobody listens any more.
        store.fault = Away()
        assert await archive.state(PREFIX) == ended


async def test_a_log_that_is_over_is_looked_at_once(archive: Archive, store: FaultyStore) -> None:
    assert not (await archive.state(PREFIX)).begun
    async with threads_over(store.real) as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(2))
        await writer.finish(terminal(2), at(2, 1))
    ended = await archive.state(PREFIX)
    store.fault = Away()
    assert await archive.state(PREFIX) == ended
    with pytest.raises(GatewayError):
        await archive.state("team/another/1/main")
