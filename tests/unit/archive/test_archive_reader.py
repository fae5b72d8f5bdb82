"""A log read by who does not write it: a gateway beside the worker."""

import asyncio
import threading

import pytest

from tests.support.archives import (
    PREFIX,
    Away,
    FaultyStore,
    becomes,
    ends_of_events,
    frames_of,
    mark,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive import log as log_bytes
from videofleet_archive.errors import ArchiveCorruptError, BelowHorizonError, BeyondEndError
from videofleet_archive.extent import segment_key
from videofleet_archive.reader import Logs, OpenLog, Waits
from videofleet_archive.store import ObjectArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import SealPolicy


async def _all(log: OpenLog, offset: int = 0, *, follow: bool = True) -> bytes:
    return b"".join([data async for data in log.read(offset, follow=follow)])


async def test_a_finished_log_is_read_from_any_event(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await write_frames(writer, range(10))
    await writer.finish(terminal(9), mark(9))
    whole = stored_log(threads.store)
    async with Logs(threads).open(PREFIX) as log:
        assert log.ending is not None
        assert (log.ending.reason, log.start, log.end) == ("stop", 0, len(whole))
        for offset in (0, *ends_of_events(whole)):
            assert await _all(log, offset) == whole[offset:]
        with pytest.raises(BeyondEndError):
            log.check(len(whole) + 1)


async def test_followers_see_what_the_writer_seals_up_to_the_end(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    logs = Logs(threads)
    async with logs.open(PREFIX) as log, logs.open(PREFIX) as same:
        assert log is same
        followers = [asyncio.create_task(_all(log)) for _ in range(20)]
        await write_frames(writer, range(30))
        await writer.finish(terminal(29), mark(29))
        whole = stored_log(threads.store)
        assert set(await asyncio.gather(*followers)) == {whole}
        assert log.ending is not None


async def test_many_followers_cost_the_store_no_more_than_one() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads.with_store(store.real), 1, policy=SealPolicy(seconds=0, segment_bytes=1))
        async with Logs(threads).open(PREFIX) as log:
            store.calls.clear()
            end = log.end
            followers = [asyncio.create_task(_all(log, end)) for _ in range(100)]
            await write_frames(writer, range(5))
            await writer.finish(terminal(4), mark(4))
            await asyncio.gather(*followers)
        looks = [key for method, key in store.calls if method == "read"]
        # Each segment once, and now and then a look for one that is not there yet.
        assert len(looks) < 50
        assert {"listing"} & {method for method, _ in store.calls} == set()


async def test_a_look_at_the_whole_log_while_its_next_segment_is_read_adds_no_byte() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads.with_store(store.real), 1)
        async with Logs(threads).open(PREFIX) as log:
            key, reading, read_on = segment_key(PREFIX, log.end), threading.Event(), threading.Event()

            def held_up(method: str, asked: str, late: bool) -> None:
                if (method, asked, late) == ("read", key, True) and not reading.is_set():
                    reading.set()
                    assert read_on.wait(20)

            await write_frames(writer, range(3))
            await writer.finish(terminal(2), mark(2))
            whole = stored_log(store.real)
            store.fault = held_up
            following = asyncio.create_task(_all(log))
            await asyncio.to_thread(reading.wait, 20)
            await log.look()
            read_on.set()
            assert await following == whole


async def test_one_who_is_told_that_there_is_more_does_not_wait_for_the_next_look() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads.with_store(store.real), 1)
        async with Logs(threads, Waits(first=600, longest=600)).open(PREFIX) as log:
            looked = ("read", segment_key(PREFIX, log.end))
            following = asyncio.create_task(_all(log, log.end))
            await becomes(lambda: looked in store.calls, "it has looked, and rests")
            await write_frames(writer, range(3))
            await writer.finish(terminal(2), mark(2))
            log.wake()
            assert frames_of(await asyncio.wait_for(following, 60)) == [0, 1, 2]


async def test_where_all_is_there_that_was_told_of_nobody_looks_for_more() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads.with_store(store.real), 1, policy=SealPolicy(seconds=0, segment_bytes=1))
        async with Logs(threads, Waits(first=0.01, longest=0.01, attended=600)).open(PREFIX) as log:
            looks = [segment_key(PREFIX, log.end)]
            log.wake(log.end)
            following = asyncio.create_task(_all(log, log.end))
            await becomes(lambda: ("read", looks[0]) in store.calls, "it has looked, and rests")
            for frame in range(3):
                await write_frames(writer, range(frame, frame + 1))
                await becomes(lambda: writer.view.extent.end > log.end, "it is sealed")
                log.wake(writer.view.extent.end)
                await becomes(lambda: log.end == writer.view.extent.end, "it is found")
                looks.append(segment_key(PREFIX, log.end))
            # The first place was looked at in vain, and every other one once there was something.
            assert [key for method, key in store.calls if method == "read" and key in looks] == [looks[0], *looks[:-1]]
            await writer.finish(terminal(2), mark(2))
            log.wake(writer.view.extent.end)
            assert frames_of(await asyncio.wait_for(following, 60)) == [0, 1, 2]


async def test_one_who_is_told_nothing_any_more_looks_as_usual(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    async with Logs(threads, Waits(first=0.01, longest=0.01, attended=600)).open(PREFIX) as log:
        log.wake(log.end)
        following = asyncio.create_task(_all(log, log.end))
        # Who told of it has gone, and somebody else goes on.
        log.wake()
        await write_frames(writer, range(3))
        await writer.finish(terminal(2), mark(2))
        assert frames_of(await asyncio.wait_for(following, 60)) == [0, 1, 2]


async def test_what_was_told_of_and_is_not_there_yet_is_looked_for(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    async with Logs(threads, Waits(first=0.01, longest=0.01, attended=600)).open(PREFIX) as log:
        # As one tells who has been overtaken and does not know it yet.
        log.wake(1_000_000)
        following = asyncio.create_task(_all(log, log.end))
        await write_frames(writer, range(3))
        await writer.finish(terminal(2), mark(2))
        assert frames_of(await asyncio.wait_for(following, 60)) == [0, 1, 2]


async def test_a_log_that_nobody_has_begun_grows_once_it_is_written(threads: StoreThreads) -> None:
    async with Logs(threads).open(PREFIX) as log:
        assert (log.start, log.end, log.ending) == (0, 0, None)
        following = asyncio.create_task(_all(log))
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(3))
        await writer.finish(terminal(2), mark(2))
        assert frames_of(await following) == [0, 1, 2]


async def test_without_following_a_read_ends_with_what_is_durable(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await write_frames(writer, range(3))
    await writer.close()
    async with Logs(threads).open(PREFIX) as log:
        assert await _all(log, follow=False) == stored_log(threads.store)
        assert await _all(log, log.end, follow=False) == b""


async def test_below_the_horizon_the_oldest_offset_is_told(threads: StoreThreads) -> None:
    policy = SealPolicy(seconds=0, segment_bytes=1, keep_bytes=2000)
    writer = await open_writer(threads, 1, policy=policy)
    await write_frames(writer, range(30))
    await writer.close()
    async with Logs(threads).open(PREFIX) as log:
        assert log.start > 0
        with pytest.raises(BelowHorizonError) as below:
            await _all(log, follow=False)
        assert below.value.oldest == log.start
        assert await _all(log, log.start, follow=False) == stored_log(threads.store)


async def test_a_reader_that_the_horizon_has_overtaken_is_told_so(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1))
    await write_frames(writer, range(5))
    async with Logs(threads).open(PREFIX) as log:
        writer.use(SealPolicy(seconds=0, segment_bytes=1, keep_bytes=1))
        await write_frames(writer, range(5, 8))
        await writer.close()
        log.check(0)
        with pytest.raises(BelowHorizonError) as below:
            await _all(log)
        assert below.value.oldest == log.start > 0


async def test_a_store_that_comes_back_goes_on_with_its_followers() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads.with_store(store.real), 1)
        async with Logs(threads).open(PREFIX) as log:
            following = asyncio.create_task(_all(log, log.end))
            away = Away()
            store.fault = away
            await becomes(lambda: log.problem is not None, "the reader has met the failure")
            await write_frames(writer, range(3))
            await writer.finish(terminal(2), mark(2))
            away.back()
            assert frames_of(await following) == [0, 1, 2]
            assert log.problem is None


async def test_a_log_that_cannot_be_understood_ends_its_readers_with_that(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await writer.close()
    async with Logs(threads).open(PREFIX) as log:
        following = asyncio.create_task(_all(log))
        threads.store.create(segment_key(PREFIX, log.end), log_bytes.event(log.end, log_bytes.DONE))
        with pytest.raises(ArchiveCorruptError):
            await following


async def test_the_offset_of_a_time_is_where_the_first_result_since_begins(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=500))
    await write_frames(writer, range(10))
    await writer.close()
    whole = stored_log(threads.store)
    async with Logs(threads).open(PREFIX) as log:
        offset = await log.offset_at(1_700_000_000.55)
        assert frames_of(whole[offset:]) == [6, 7, 8, 9]
        assert offset in ends_of_events(whole)
        assert await log.offset_at(4_000_000_000) == log.end


async def test_a_log_is_looked_at_no_more_when_nobody_has_it_open() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        await (await open_writer(threads, 1)).close()
        logs = Logs(threads)
        async with logs.open(PREFIX) as log:
            following = asyncio.create_task(_all(log))
            await becomes(lambda: log._following is not None, "it is followed")
        await following
        assert [task for task in asyncio.all_tasks() if task.get_name() == f"follow {PREFIX}"] == []
        store.calls.clear()
        async with logs.open(PREFIX) as again:
            assert again is not log
            assert ("listing", f"{PREFIX}/chunks") in store.calls
