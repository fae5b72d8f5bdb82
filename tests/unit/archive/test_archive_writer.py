"""One writer and its readers."""

import asyncio
import threading

import pytest

from tests.support.archives import (
    AT_ONCE,
    PREFIX,
    Away,
    CountedCalls,
    FaultyStore,
    becomes,
    chunk,
    ends_of_events,
    frames_of,
    ids_of,
    mark,
    open_epoch,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive import log
from videofleet_archive.errors import ArchiveError, BelowHorizonError, BeyondEndError, FencedError
from videofleet_archive.extent import segment_key
from videofleet_archive.store import ObjectArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView
from videofleet_archive.writer import SealPolicy


async def _read_all(view: LogView, offset: int = 0) -> bytes:
    return b"".join([data async for data in view.read(offset)])


async def _durable(view: LogView, offset: int) -> None:
    await becomes(lambda: view.extent.end >= offset, f"the log is durable up to {offset}")


async def test_what_is_written_is_read_and_every_id_is_an_offset(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await write_frames(writer, range(20))
    await writer.finish(terminal(19), mark(19))
    data = await _read_all(writer.view)
    assert data == stored_log(threads.store)
    assert frames_of(data) == list(range(20))
    assert ids_of(data) == ends_of_events(data)
    assert log.is_finished(data)


async def test_a_replay_from_any_id_is_the_rest_of_the_whole(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await write_frames(writer, range(10))
    await writer.close()
    whole = await _read_all(writer.view)
    for offset in range(len(whole) + 1):
        assert await _read_all(writer.view, offset) == whole[offset:]


async def test_a_follower_sees_what_comes_until_the_end(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    following = asyncio.create_task(_read_all(writer.view))
    for frame in range(5):
        end = writer.view.extent.end
        await writer.append(chunk(frame), mark(frame))
        await _durable(writer.view, end + 1)
    await writer.finish(terminal(4), mark(4))
    assert await following == stored_log(threads.store)


async def test_nothing_is_visible_before_it_is_stored() -> None:
    held, gate = threading.Event(), threading.Event()
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1)
        start = writer.view.extent.end

        def hold(method: str, key: str, late: bool) -> None:
            if method == "create" and "chunks" in key and not late:
                held.set()
                assert gate.wait(60)

        store.fault = hold
        await writer.append(chunk(0), mark(0))
        reading = asyncio.create_task(_read_all(writer.view, start))
        await becomes(held.is_set, "the segment is being stored")
        assert writer.view.extent.end == start
        assert not reading.done()
        gate.set()
        await writer.close()
        assert frames_of(await reading) == [0]


async def test_events_are_sealed_together(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=30))
    await write_frames(writer, range(50))
    await writer.close()
    # The comment of the epoch, and all frames in one.
    assert len(writer.view.extent.segments) == 2


async def test_a_full_segment_does_not_wait_for_its_time(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=600, segment_bytes=2000))
    start = writer.view.extent.end
    await write_frames(writer, range(20))
    await _durable(writer.view, start + 2000)
    await writer.close()
    assert frames_of(await _read_all(writer.view)) == list(range(20))


async def test_another_policy_counts_for_what_is_collected_already(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=600))
    await write_frames(writer, range(5))
    assert frames_of(stored_log(threads.store)) == []
    writer.use(SealPolicy(seconds=0))
    await becomes(lambda: frames_of(stored_log(threads.store)) == list(range(5)), "they are sealed")
    await writer.close()


async def test_the_sidecar_comes_before_its_segment(threads: StoreThreads) -> None:
    store = FaultyStore(threads.store)
    writer = await open_writer(threads.with_store(store), 1)
    store.calls.clear()
    await write_frames(writer, range(1))
    await writer.close()
    created = [key for method, key in store.calls if method == "create"]
    offset = writer.view.extent.segments[-1].offset
    assert created == [f"{PREFIX}/sidecars/{offset:016d}", segment_key(PREFIX, offset)]


async def test_a_store_that_comes_back_gets_everything_once() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, counters=counters)
        away = Away()
        store.fault = away
        await write_frames(writer, range(5))
        await becomes(lambda: counters.failures >= 2, "the writer has met the store's failure twice")
        away.back()
        await writer.close()
        assert frames_of(stored_log(store.real)) == list(range(5))


async def test_a_lost_answer_is_no_loss_and_no_double() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1)
        lost: list[str] = []

        def lose(method: str, key: str, late: bool) -> None:
            if late and method == "create" and key not in lost:
                lost.append(key)
                raise ArchiveError("no answer")

        store.fault = lose
        await write_frames(writer, range(3))
        await writer.close()
        assert lost
        assert frames_of(stored_log(store.real)) == [0, 1, 2]


async def test_a_full_spool_holds_a_recorded_source_up() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, spool_bytes=2000), counters=counters)
        away = Away()
        store.fault = away
        writing = asyncio.create_task(write_frames(writer, range(30)))
        await becomes(lambda: counters.failures >= 2, "the store is away")
        assert not writing.done()
        away.back()
        await writing
        await writer.close()
        assert frames_of(stored_log(store.real)) == list(range(30))


async def test_a_full_spool_drops_results_of_a_live_source_and_says_how_many() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        counters = CountedCalls()
        policy = SealPolicy(seconds=0, spool_bytes=2000, wait_when_full=False)
        writer = await open_writer(threads, 1, policy=policy, counters=counters)
        away = Away()
        store.fault = away
        await write_frames(writer, range(30))
        assert counters.losses > 0
        away.back()
        await _durable(writer.view, writer.view.extent.end + 2000)
        await write_frames(writer, range(30, 31))
        await writer.close()
        data = stored_log(store.real)
        assert f": gap frames={counters.losses}\n".encode() in data
        assert len(frames_of(data)) == 31 - counters.losses
        assert ids_of(data) == ends_of_events(data)


async def test_old_results_of_a_live_source_are_dropped_and_offsets_stay(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1, keep_bytes=3000))
    await write_frames(writer, range(40))
    await writer.close()
    view = writer.view
    assert view.extent.end - view.extent.start <= 3000
    with pytest.raises(BelowHorizonError) as below:
        await _read_all(view, 0)
    assert below.value.oldest == view.extent.start
    data = await _read_all(view, view.extent.start)
    assert data == stored_log(threads.store)
    assert ids_of(data) == ends_of_events(data, view.extent.start)
    assert frames_of(data)[-1] == 39


async def test_a_deletion_that_fails_leaves_no_hole() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        failures = iter([True, True, False])

        def fail(method: str, key: str, late: bool) -> None:
            if method == "delete" and not late and next(failures, False):
                raise ArchiveError("no")

        writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1, keep_bytes=2000))
        store.fault = fail
        await write_frames(writer, range(30))
        await writer.close()
        opened = await open_epoch(threads, 2)
        assert opened.resume is not None
        assert opened.resume.sidecar.frame_index == 29


async def test_an_offset_behind_the_end_is_refused(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await writer.close()
    with pytest.raises(BeyondEndError):
        writer.view.check(writer.view.extent.end + 1)


async def test_a_newer_epoch_fences_the_older_writer(threads: StoreThreads) -> None:
    old = await open_writer(threads, 1)
    await write_frames(old, range(3))
    await _durable(old.view, old.view.extent.end + 1)
    new = await open_writer(threads, 2)
    await old.append(chunk(99), mark(99))
    with pytest.raises(FencedError):
        await old.close()
    with pytest.raises(FencedError):
        await old.append(chunk(100), mark(100))
    await write_frames(new, range(3, 6))
    await new.close()
    assert 99 not in frames_of(stored_log(threads.store))


async def test_a_fenced_writer_that_waits_for_room_wakes_up() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    async with threads_over(store) as threads:
        counters = CountedCalls()
        old = await open_writer(threads, 1, policy=SealPolicy(seconds=0, spool_bytes=1000), counters=counters)
        away = Away()
        store.fault = away
        writing = asyncio.create_task(write_frames(old, range(30)))
        await becomes(lambda: counters.failures > 0, "the store is away")
        await open_writer(StoreThreads(store.real, threads._executor), 2)
        away.back()
        with pytest.raises(FencedError):
            await asyncio.wait_for(writing, 60)


async def test_an_abandoned_writer_stores_nothing_more(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=600))
    await write_frames(writer, range(3))
    await writer.abandon()
    assert frames_of(stored_log(threads.store)) == []
    assert writer.view.closed


async def test_an_error_is_told_before_the_last_chunk(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=AT_ONCE)
    await write_frames(writer, range(2))
    await writer.finish(terminal(1, "error"), mark(1), ("STALLED", "no data for 10 s"))
    data = stored_log(threads.store)
    assert b": error STALLED no data for 10 s\ndata: " in data
    assert ids_of(data) == ends_of_events(data)
    again = await open_epoch(threads, 2)
    assert again.ending is not None
    assert (again.ending.reason, again.ending.error) == ("error", ("STALLED", "no data for 10 s"))
