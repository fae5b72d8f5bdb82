"""What becomes of results while the store takes none, takes them slowly, or says nothing at all."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support.archives import (
    Away,
    CountedCalls,
    FaultyStore,
    Silent,
    becomes,
    chunk,
    ends_of_events,
    frames_of,
    ids_of,
    mark,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import ObjectArchive
from videofleet_archive.writer import SealPolicy

LIMIT = SealPolicy(0.0).spool_seconds
LIVE = SealPolicy(seconds=0, wait_when_full=False)
RECORDED = SealPolicy(seconds=0)


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


Fault = Away | Silent


@pytest.fixture(params=[Away, Silent], ids=["away", "silent"])
def fault(request: pytest.FixtureRequest) -> Iterator[Fault]:
    made: Fault = request.param()
    yield made
    made.back()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(ObjectArchive.in_memory())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def met(fault: Fault, counters: CountedCalls) -> Callable[[], bool]:
    """Whether the writer has met the fault."""
    return lambda: counters.failures > 0 if isinstance(fault, Away) else fault.asked


def test_the_limits_are_those_of_the_protocol() -> None:
    assert (LIVE.spool_bytes, LIVE.spool_seconds) == (64 * 2**20, 600)


async def test_a_live_source_discards_once_the_store_takes_nothing_for_ten_minutes(
    store: FaultyStore, clock: Clock, fault: Fault
) -> None:
    async with threads_over(store) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, policy=LIVE, counters=counters, clock=clock)
        store.fault = fault
        await write_frames(writer, range(3))
        await becomes(met(fault, counters), "the store takes nothing")
        clock.now += LIMIT
        assert not writer.discards
        await write_frames(writer, range(3, 5))
        clock.now += 1
        assert writer.discards
        await write_frames(writer, range(5, 20))
        fault.back()
        await becomes(lambda: not writer.discards, "there is room again")
        await write_frames(writer, range(20, 22))
        await writer.close()
        data = stored_log(store.real)
        assert frames_of(data) == [*range(5), 20, 21]
        assert data.count(b": gap ") == data.count(b": gap frames=15\n") == 1
        assert counters.losses == 15
        assert ids_of(data) == ends_of_events(data)


async def test_a_recorded_source_waits_once_the_store_takes_nothing_for_ten_minutes(
    store: FaultyStore, clock: Clock, fault: Fault
) -> None:
    async with threads_over(store) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, policy=RECORDED, counters=counters, clock=clock)
        store.fault = fault
        await write_frames(writer, range(3))
        await becomes(met(fault, counters), "the store takes nothing")
        clock.now += LIMIT
        await write_frames(writer, range(3, 5))
        clock.now += 1
        going_on = asyncio.create_task(write_frames(writer, range(5, 20)))
        done, _ = await asyncio.wait({going_on}, timeout=0.1)
        assert not done
        fault.back()
        await going_on
        await writer.close()
        assert frames_of(stored_log(store.real)) == list(range(20))
        assert counters.losses == 0


@pytest.mark.parametrize("policy", [LIVE, RECORDED], ids=["live", "recorded"])
async def test_nobody_waits_for_a_put_that_takes_long(store: FaultyStore, policy: SealPolicy) -> None:
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1, policy=policy)
        store.fault = silent = Silent()
        await write_frames(writer, range(1000))
        assert frames_of(stored_log(store.real)) == []
        silent.back()
        await writer.close()
        assert frames_of(stored_log(store.real)) == list(range(1000))


@pytest.mark.parametrize("ends", [True, False], ids=["the end", "a hand-over"])
async def test_what_was_discarded_last_is_told_too(store: FaultyStore, clock: Clock, ends: bool) -> None:
    async with threads_over(store) as threads:
        counters, away = CountedCalls(), Away()
        writer = await open_writer(threads, 1, policy=LIVE, counters=counters, clock=clock)
        store.fault = away
        await write_frames(writer, range(3))
        await becomes(met(away, counters), "the store is away")
        clock.now += LIMIT + 1
        await write_frames(writer, range(3, 7))
        away.back()
        await (writer.finish(terminal(6), mark(6)) if ends else writer.close())
        data = stored_log(store.real)
        assert frames_of(data) == [0, 1, 2]
        assert data.count(b": gap frames=4\n") == 1
        assert ids_of(data) == ends_of_events(data)


async def test_a_put_that_takes_longer_than_anybody_waits_is_found_by_reading(store: FaultyStore) -> None:
    puts: dict[str, bytes] = {}
    create = store.real.create

    def slow(method: str, key: str, late: bool) -> None:
        if late or ("chunks" not in key and "sidecars" not in key):
            return
        if method == "create":
            raise ArchiveError("no answer in time")
        if method == "read" and key in puts:
            # What was put long before has come through meanwhile.
            create(key, puts[key])

    def remember(key: str, data: bytes) -> bool:
        puts[key] = data
        return FaultyStore.create(store, key, data)

    async with threads_over(store) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, policy=LIVE, counters=counters)
        store.fault = slow
        store.create = remember  # type: ignore[method-assign] # the fault needs the bytes
        await writer.append(chunk(0), mark(0))
        await writer.close()
        assert frames_of(stored_log(store.real)) == [0]
        # One answer of the sidecar's and one of the segment's did not come.
        assert counters.failures == 2
