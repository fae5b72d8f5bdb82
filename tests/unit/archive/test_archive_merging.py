"""Many small segments become few large parts."""

import asyncio
import itertools
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.archives import (
    PREFIX,
    CountedCalls,
    FaultyStore,
    becomes,
    chunk,
    frames_of,
    mark,
    open_epoch,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive.acquire import scan
from videofleet_archive.check import check_log
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_archive.extent import Extent, Segment
from videofleet_archive.merging import MERGE_SECONDS, PART_BYTES, PART_SEGMENTS, Sizes, due, left_over, merge, tend
from videofleet_archive.store import FolderArchive, ObjectArchive, Store
from videofleet_archive.storing import must_be_end
from videofleet_archive.tending import Tending, sizes_for
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView
from videofleet_archive.writer import SealPolicy

NOW = 1_000_000.0
SMALL = Sizes(part_bytes=100)
SOON = Sizes(merge_seconds=-10, delete_seconds=-10, part_bytes=1000)
EACH = SealPolicy(seconds=0, segment_bytes=1)


def _extent(*ages: float, size: int = 40) -> Extent:
    """Segments of one size, sealed so many seconds ago."""
    return Extent([Segment(size * at, size, modified=NOW - age) for at, age in enumerate(ages)])


@pytest.mark.parametrize(
    ("ages", "finished", "merged"),
    [
        pytest.param((900, 800, 700, 600), False, 3, id="as many as make a part"),
        pytest.param((900, 800, 200, 100), False, 0, id="young ones stay"),
        pytest.param((900, 800, 700), False, 0, id="the last one stays, so these are too few"),
        pytest.param((900, 800, 700), True, 3, id="of a finished log the last one, too"),
        pytest.param((900, 800), True, 2, id="of a finished log also the rest"),
        pytest.param((900, 100), True, 0, id="but not before all of it is old"),
        pytest.param((900,), True, 0, id="one alone is no part"),
        pytest.param((), True, 0, id="nothing"),
    ],
)
def test_what_is_merged(ages: tuple[float, ...], finished: bool, merged: int) -> None:
    extent = _extent(*ages)
    assert due(extent, NOW, SMALL, finished=finished) == extent.segments[:merged]


def test_many_that_are_small_are_merged_too() -> None:
    extent = _extent(*range(900, 400, -100), size=1)
    assert due(extent, NOW, Sizes(part_segments=3), finished=False) == extent.segments[:3]


@pytest.mark.parametrize("size", [200, 10_000], ids=["a log that tells little", "a log that tells much"])
def test_what_a_writer_remembers_of_its_log_does_not_grow_with_the_hours(size: int) -> None:
    extent, longest = Extent(), 0
    for second in range(6 * 3600):
        extent.append(size, NOW + second)
        longest = max(longest, len(extent.segments))
        if second % 60 == 0:
            for_now = due(extent, NOW + second, Sizes(), finished=False)
            if for_now:
                extent.merge(Segment(for_now[0].offset, for_now[-1].end - for_now[0].offset, part=True))
    assert longest < PART_SEGMENTS + MERGE_SECONDS + 100


def test_parts_are_not_merged_again() -> None:
    part = Segment(0, 120, part=True, modified=NOW - 900)
    segments = [Segment(120 + 40 * at, 40, modified=NOW - 800) for at in range(4)]
    assert due(Extent([part, *segments]), NOW, SMALL, finished=False) == segments[:3]


def test_parts_are_small_where_little_is_kept() -> None:
    assert sizes_for(None).part_bytes == sizes_for(2**30).part_bytes == PART_BYTES == 16 * 2**20
    assert sizes_for(2**20).part_bytes == 2**18


async def _filled(store: Store, frames: int = 10) -> None:
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1, policy=EACH)
        await write_frames(writer, range(frames))
        await writer.close()


async def test_a_part_has_the_bytes_of_its_segments_and_they_go_later(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    await _filled(store)
    before = stored_log(store)
    now = time.time() + 301
    assert tend(store, PREFIX, now, Sizes(part_bytes=1000), finished=False) == 2
    assert stored_log(store) == before
    assert len(scan(store, PREFIX).segments) < 7
    assert len(store.listing(f"{PREFIX}/chunks")) == 11, "they stay for who has listed them"
    tend(store, PREFIX, time.time() + 601, Sizes(part_bytes=1000), finished=False)
    assert len(store.listing(f"{PREFIX}/chunks")) < 7
    assert stored_log(store) == before
    assert check_log(store, PREFIX) == []


async def test_an_epoch_goes_on_after_results_that_lie_in_a_part(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    await _filled(store)
    async with threads_over(store) as threads:
        # A comment behind them, so that all results may be merged.
        await (await open_writer(threads, 2)).close()
        tend(store, PREFIX, time.time(), Sizes(-10, -10, 2900), finished=False)
        assert [one.part for one in scan(store, PREFIX).segments] == [True, False]
        opened = await open_epoch(threads, 3)
        assert opened.resume is not None
        assert opened.resume.sidecar.frame_index == opened.resume.last.stream_info.frame_index == 9
        with pytest.raises(FencedError):
            await open_epoch(threads, 2)


async def test_a_finished_log_becomes_one_part(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1, policy=EACH)
        await write_frames(writer, range(5))
        await writer.finish(terminal(4), mark(4))
        before = stored_log(store)
        tend(store, PREFIX, time.time(), Sizes(-10, -10), finished=True)
        assert [one.part for one in scan(store, PREFIX).segments] == [True]
        assert stored_log(store) == before
        ending = (await open_epoch(threads, 2)).ending
        assert ending is not None
        assert ending.reason == "stop"


async def test_a_lost_answer_makes_no_second_part() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    await _filled(store.real)
    segments = due(scan(store.real, PREFIX), time.time(), SOON, finished=False)

    def lose(method: str, key: str, late: bool) -> None:
        if method == "create" and "/parts/" in key and late:
            raise ArchiveError("no answer")

    store.fault = lose
    with pytest.raises(ArchiveError):
        merge(store, PREFIX, segments)
    store.fault = lambda method, key, late: None
    part = merge(store, PREFIX, segments)
    assert [one.key for one in store.real.listing(f"{PREFIX}/parts")] == [part.key(PREFIX)]


async def test_segments_that_are_not_what_was_listed_are_not_merged() -> None:
    store = ObjectArchive.in_memory()
    await _filled(store)
    segments = due(scan(store, PREFIX), time.time(), SOON, finished=False)
    store.replace(segments[1].key(PREFIX), b"short")
    with pytest.raises(ArchiveCorruptError, match=str(segments[1].offset)):
        merge(store, PREFIX, segments)
    store.delete([segments[1].key(PREFIX)])
    with pytest.raises(ArchiveError, match="dropped"):
        merge(store, PREFIX, segments)


async def test_a_writer_tends_its_log_while_it_writes() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1, policy=EACH)
        await write_frames(writer, range(12))
        await writer.close()
        view = writer.view
        tending = Tending(view)
        await tending.merge(SOON, time.time())
        assert any(one.part for one in view.extent.segments)
        assert view.extent.segments == [
            Segment(mine.offset, mine.size, mine.part, theirs.modified)
            for mine, theirs in zip(scan(threads.store, PREFIX).segments, view.extent.segments, strict=True)
        ]
        await tending.drop(2000, None, time.time())
        assert view.extent.end - view.extent.start <= 2000
        found = scan(threads.store, PREFIX)
        assert (found.start, found.end) == (view.extent.start, view.extent.end), "no segment of a part comes to light"
        await tending.drop(None, 1.0, time.time() + 10)
        assert len(view.extent.segments) == 1


async def test_logs_are_merged_one_after_the_other_by_one_thread() -> None:
    store = FaultyStore(ObjectArchive.in_memory())
    merging: list[str] = []
    threads_seen: set[int] = set()
    prefixes = [f"default/job-{one}/1/main" for one in range(8)]
    for prefix in prefixes:
        for offset in range(0, 1200, 100):
            store.real.create(Segment(offset, 100).key(prefix), b":".ljust(98) + b"\n\n")

    def seen(method: str, key: str, late: bool) -> None:
        if not late and (method == "read" or "/parts" in key):
            merging.append(key.partition("/1/main")[0])
            threads_seen.add(threading.get_ident())

    store.fault = seen
    with ThreadPoolExecutor(8) as executor, ThreadPoolExecutor(1) as upkeep:
        threads = StoreThreads(store, executor, upkeep)
        # By views over another store on the same threads as well: they are what there should be few of.
        views = [LogView(threads.with_store(store), one, scan(store.real, one), closed=False) for one in prefixes]
        await asyncio.gather(*(Tending(view).merge(SOON, time.time()) for view in views))
        used = await asyncio.gather(*(threads.tend(threading.get_ident) for _ in range(4)))
    assert all(view.extent.segments[0].part for view in views)
    assert threads_seen == set(used), "none of the many threads"
    assert len(threads_seen) == 1
    # One log's segments are read in one go.
    assert sum(one != other for one, other in itertools.pairwise(merging)) == len(prefixes) - 1


async def test_what_is_too_old_goes_while_the_log_waits_for_its_turn_to_be_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videofleet_archive.writer._TEND_SECONDS", 0.05)
    monkeypatch.setattr("videofleet_archive.writer.sizes_for", lambda keep_bytes: SOON)
    others_are_merged = threading.Event()
    with ThreadPoolExecutor(4) as executor, ThreadPoolExecutor(1) as upkeep:
        upkeep.submit(others_are_merged.wait)
        try:
            writer = await open_writer(StoreThreads(ObjectArchive.in_memory(), executor, upkeep), 1, policy=EACH)
            for frame in range(20):
                await write_frames(writer, range(frame, frame + 1))
                await writer.flush()
            await becomes(lambda: not upkeep._work_queue.empty(), "the log waits for its turn")
            # Nothing more is sealed, so nothing else drops what is old.
            writer.use(replace(EACH, keep_seconds=0.01))
            await becomes(lambda: len(writer.view.extent.segments) == 1, "what is too old goes", 10.0)
            await writer.close()
        finally:
            others_are_merged.set()


def test_a_part_is_in_memory_once(tmp_path: Path) -> None:
    store, size, count = FolderArchive(tmp_path), 16 * 1024, 256
    for at in range(count):
        store.create(Segment(at * size, size).key(PREFIX), b":".ljust(size - 2) + b"\n\n")
    segments = scan(store, PREFIX).segments
    tracemalloc.start()
    try:
        part = merge(store, PREFIX, segments)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part.size == size * count
    assert most < 1.5 * part.size


async def test_a_writer_that_was_away_for_long_does_not_believe_a_free_key(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    async with threads_over(store) as threads:
        old = await open_writer(threads, 1, counters=CountedCalls())
        new = await open_writer(threads, 2, policy=EACH)
        await write_frames(new, range(12))
        await becomes(lambda: new.view.extent.end > 3000, "most of it is sealed")
        tend(store, PREFIX, time.time(), SOON, finished=False)
        assert store.read(Segment(old.view.extent.end, 0).key(PREFIX)) is None, "its key is free again"
        old._sealed_at -= 10_000
        await old.append(chunk(99), mark(99))
        with pytest.raises(FencedError, match="has taken"):
            await old.close()
        await write_frames(new, range(12, 14))
        await new.close()
        assert frames_of(stored_log(store)) == list(range(14))
        store.delete(left_over(store, PREFIX, time.time() + 10))
        assert check_log(store, PREFIX) == []


def test_the_end_is_where_it_is() -> None:
    store = ObjectArchive.in_memory()
    store.create(f"{PREFIX}/chunks/{0:016d}", b"12345")
    must_be_end(store, PREFIX, 5)
    with pytest.raises(FencedError):
        must_be_end(store, PREFIX, 3)
