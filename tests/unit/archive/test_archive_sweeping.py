"""Logs that nobody writes any more: how long they are kept, and what becomes of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.archives import (
    PREFIX,
    CountedCalls,
    FaultyStore,
    becomes,
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
from videofleet_archive.acquire import scan
from videofleet_archive.check import check_log, logs_below
from videofleet_archive.errors import ArchiveError
from videofleet_archive.extent import Extent, Segment
from videofleet_archive.merging import Sizes
from videofleet_archive.results import results_key, write_results
from videofleet_archive.shots import shot_key
from videofleet_archive.store import FolderArchive, ObjectArchive, StoredObject
from videofleet_archive.sweeping import claim_sweep, read_retention, retention_key, sweep, sweep_all, write_retention
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import SealPolicy

HOUR = 3600.0


async def _finished(threads: StoreThreads, keep_seconds: float | None = None) -> None:
    policy = SealPolicy(seconds=0, segment_bytes=1, keep_seconds=keep_seconds)
    writer = await open_writer(threads, 1, policy=policy)
    await write_frames(writer, range(5))
    await writer.finish(terminal(4), mark(4))
    write_results(threads.store, PREFIX, "a-model")
    threads.store.replace(shot_key(PREFIX, 1), b"a picture")


async def test_a_writer_leaves_word_for_how_long_its_results_are_kept(threads: StoreThreads) -> None:
    policy = SealPolicy(seconds=0, segment_bytes=1, keep_seconds=2 * HOUR)
    writer = await open_writer(threads, 1, policy=policy)
    await write_frames(writer, range(2))
    writer.use(SealPolicy(seconds=0, segment_bytes=1, keep_seconds=5 * HOUR))
    await write_frames(writer, range(2, 3))
    await writer.close()
    assert read_retention(threads.store, PREFIX) == 5 * HOUR
    again = await open_writer(threads, 2, policy=SealPolicy(seconds=0))
    await write_frames(again, range(3, 4))
    await again.close()
    assert read_retention(threads.store, PREFIX) is None


async def test_what_a_writer_begins_with_is_as_young_as_what_follows(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1, keep_seconds=HOUR))
    await write_frames(writer, range(3))
    await writer.close()
    written = stored_log(threads.store)
    assert (scan(threads.store, PREFIX).start, log.epoch_of(written)) == (0, 1)


async def test_what_is_old_goes_with_all_that_lies_beside_it(threads: StoreThreads) -> None:
    await _finished(threads, 2 * HOUR)
    store, now = threads.store, time.time()
    assert sweep(store, [PREFIX], now + HOUR).removed == 0
    assert store.read(results_key(PREFIX)) is not None
    assert sweep(store, [PREFIX], now + 2 * HOUR + 400).removed == 1
    assert store.listing("default") == []


async def test_without_a_retention_results_stay(threads: StoreThreads) -> None:
    await _finished(threads)
    assert sweep(threads.store, [PREFIX], time.time() + 1e9).removed == 0
    assert check_log(threads.store, PREFIX) == []


async def test_a_log_without_an_end_keeps_its_place_and_loses_its_pictures(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1, keep_seconds=2 * HOUR))
    await write_frames(writer, range(5))
    await writer.close()
    store, end = threads.store, writer.view.extent.end
    store.replace(shot_key(PREFIX, 1), b"a picture")
    assert sweep(store, [PREFIX], time.time() + 9 * HOUR).removed == 0
    assert store.read(shot_key(PREFIX, 1)) is None
    found = scan(store, PREFIX)
    assert (len(found.segments), found.end) == (1, end)
    opened = await open_epoch(threads, 2)
    assert opened.resume is not None
    assert opened.resume.sidecar.frame_index == 4
    assert opened.view.extent.start > 0


async def test_who_is_interrupted_is_followed_by_one_who_goes_on(threads: StoreThreads) -> None:
    await _finished(threads, 2 * HOUR)
    store = FaultyStore(threads.store)

    def die(method: str, key: str, late: bool) -> None:
        if method == "remove" and not late and key == PREFIX:
            raise ArchiveError("killed")

    store.fault = die
    later = time.time() + 3 * HOUR
    assert sweep(store, [PREFIX], later).failed == 1
    assert [one.key for one in store.real.listing("default")] == [retention_key(PREFIX)]
    store.fault = lambda method, key, late: None
    assert sweep(store, [PREFIX], later).removed == 1


def _below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


async def test_no_empty_folder_stays_of_what_goes(tmp_path: Path) -> None:
    later = time.time() + 3 * HOUR
    async with threads_over(FolderArchive(tmp_path)) as threads:
        await _finished(threads, 2 * HOUR)
        neighbour = "default/job-2/1/main/snapshot.jpg"
        threads.store.create(neighbour, b"a picture")
        assert sweep(threads.store, [PREFIX], later).removed == 1
    assert _below(tmp_path) == {
        ".staging",
        "default",
        "default/job-2",
        "default/job-2/1",
        "default/job-2/1/main",
        neighbour,
    }


async def test_what_a_finished_log_left_small_becomes_a_part(threads: StoreThreads) -> None:
    await _finished(threads)
    store, before = threads.store, stored_log(threads.store)
    assert sweep(store, [PREFIX], time.time() + 400).parts == 1
    sweep(store, [PREFIX], time.time() + 1100)
    assert [one.key for one in store.listing(f"{PREFIX}/chunks")] == []
    assert stored_log(store) == before
    assert check_log(store, PREFIX) == []


async def test_a_log_that_goes_on_is_left_to_its_writer(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=1))
    await write_frames(writer, range(5))
    await writer.close()
    assert sweep(threads.store, [PREFIX], time.time() + 1e6, Sizes(part_bytes=100)).parts == 0


async def test_one_that_cannot_be_understood_holds_no_other_up(threads: StoreThreads) -> None:
    await _finished(threads, 2 * HOUR)
    threads.store.create("a/b/1/main/chunks/0000000000000000", log.error_comment("X", "?"))
    threads.store.create(retention_key("a/b/1/main"), b"?")
    logs = logs_below(threads.store, "")
    assert logs == ["a/b/1/main", PREFIX]
    swept = sweep(threads.store, logs, time.time() + 3 * HOUR)
    assert (swept.logs, swept.failed, swept.removed) == (2, 1, 1)


class _Watched(FolderArchive):
    """Notes which threads read it. `on_log`: is told of each log that is looked at, while that is."""

    def __init__(self, root: Path, on_log: Callable[[str], None]) -> None:
        super().__init__(root)
        self.read_by: set[str] = set()
        self._on_log = on_log

    def read(self, key: str) -> bytes | None:
        self.read_by.add(threading.current_thread().name)
        if key.endswith("/retention.json"):
            self._on_log(key)
        return super().read(key)

    def listing(self, prefix: str) -> list[StoredObject]:
        # The claims are listed by whoever makes one.
        if not prefix.startswith("."):
            self.read_by.add(threading.current_thread().name)
        return super().listing(prefix)


async def test_logs_are_looked_after_one_by_one_between_those_that_are_written(tmp_path: Path) -> None:
    done: list[str] = []

    def looked_at(log: str) -> None:
        done.append(log)
        upkeep.submit(done.append, "a log that is written")

    store = _Watched(tmp_path, looked_at)
    for prefix in ("a/b/1/main", "a/c/1/main"):
        write_retention(store, prefix, HOUR)
        store.create(f"{prefix}/chunks/0000000000000000", log.error_comment("X", "?"))
    with ThreadPoolExecutor(4, "others") as others, ThreadPoolExecutor(1, "upkeep") as upkeep:
        threads = StoreThreads(store, others, upkeep)
        assert await sweep_all(threads, time.time() + 9 * HOUR) is not None
        assert await sweep_all(threads, time.time() + 9 * HOUR) is None, "it is nobody else's then"
    assert len(done) == 4
    assert done[1::2] == ["a log that is written"] * 2
    assert {name.partition("_")[0] for name in store.read_by} == {"upkeep"}


def test_one_in_an_hour_sweeps() -> None:
    store = ObjectArchive.in_memory()
    assert [claim_sweep(store, at) for at in (10, 20, HOUR + 1, HOUR + 2, 5 * HOUR)] == [True, False, True, False, True]
    assert len(store.listing(".sweeps")) == 1
    assert logs_below(store, "") == []


async def test_a_live_log_loses_what_is_older_and_readers_are_told_from_where(threads: StoreThreads) -> None:
    counters = CountedCalls()
    policy = SealPolicy(seconds=0, segment_bytes=1)
    writer = await open_writer(threads, 1, policy=policy, counters=counters)
    await write_frames(writer, range(6))
    await becomes(lambda: len(writer.view.extent.segments) == 7, "each frame is sealed")
    old = writer.view.extent.segments
    aged = [Segment(one.offset, one.size, modified=one.modified - 2 * HOUR) for one in old[:3]]
    writer.view.extent = Extent([*aged, *old[3:]])
    writer.use(SealPolicy(seconds=0, segment_bytes=1, keep_seconds=HOUR))
    await write_frames(writer, range(6, 8))
    await writer.close()
    found = scan(threads.store, PREFIX)
    assert found.start == writer.view.extent.start == old[3].offset
    assert ids_of(stored_log(threads.store))[0] > found.start
