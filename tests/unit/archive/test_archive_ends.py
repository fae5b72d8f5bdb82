"""Logs that somebody else brings to their end."""

import json
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.archives import (
    PREFIX,
    FaultyStore,
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
from videofleet_api.results import FinishReason
from videofleet_archive.acquire import Ending
from videofleet_archive.check import check_log
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.errors import ArchiveError, FencedError
from videofleet_archive.results import results_key
from videofleet_archive.store import FolderArchive, Store
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import Mark


def _end(store: Store, epoch: int, reason: FinishReason = "cancelled", error: tuple[str, str] | None = None) -> Ending:
    """Close the log as an epoch."""
    return close_log(store, PREFIX, Closing("job-1", 1, epoch, "closer", reason, error=error))


async def _broken_off(threads: StoreThreads, *, live: bool = False) -> None:
    """Epoch 2 has written four frames and said no more."""
    await (await open_writer(threads, 1)).close()
    writer = await open_writer(threads, 2)
    await write_frames(writer, range(3))
    last = mark(3, 7)
    arrival = 1_700_000_000.3 if live else None
    where = Mark(last.frame_index, last.pts, 7, 4, 120, arrival=arrival, model="a-model")
    await writer.append(chunk(3, (7,)), where)
    await writer.close()


async def test_the_end_is_written_where_the_log_was_sealed(threads: StoreThreads) -> None:
    await _broken_off(threads)
    before = stored_log(threads.store)
    ending = _end(threads.store, 2)
    assert (ending.reason, ending.usage.processed_frames, ending.usage.processing_time_ms) == ("cancelled", 4, 120)
    data = stored_log(threads.store)
    assert data.startswith(before)
    assert frames_of(data) == [0, 1, 2, 3]
    assert ids_of(data) == ends_of_events(data)
    assert b'"finish_reason":"cancelled"' in data
    assert data.split(b"\n")[-4:-2] == [b"data: [DONE]", f"id: {len(data):016d}".encode()]
    summary = json.loads(threads.store.read(results_key(PREFIX)) or b"")
    assert (summary["finish_reason"], summary["model"], len(summary["tracks"])) == ("cancelled", "a-model", 1)
    assert check_log(threads.store, PREFIX) == []


async def test_an_error_is_told_with_its_code(threads: StoreThreads) -> None:
    await _broken_off(threads)
    ending = _end(threads.store, 2, "error", ("STALLED", "no data for 10 s"))
    assert ending.error == ("STALLED", "no data for 10 s")
    assert (await open_epoch(threads, 3)).ending == ending


async def test_a_live_log_has_an_end_and_no_summary(threads: StoreThreads) -> None:
    await _broken_off(threads, live=True)
    _end(threads.store, 2)
    assert threads.store.read(results_key(PREFIX)) is None


async def test_an_end_that_is_there_stays(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1)
    await write_frames(writer, range(3))
    await writer.finish(terminal(2, "max_frames"), mark(2))
    before = stored_log(threads.store)
    ending = _end(threads.store, 9)
    assert ending.reason == "max_frames"
    assert stored_log(threads.store) == before
    # The worker had died before its summary.
    assert threads.store.read(results_key(PREFIX)) is not None


async def test_a_log_of_a_later_epoch_is_not_closed(threads: StoreThreads) -> None:
    await _broken_off(threads)
    with pytest.raises(FencedError):
        _end(threads.store, 1)
    assert b"[DONE]" not in stored_log(threads.store)


async def test_a_writer_that_goes_on_all_the_same_stops(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 4)
    await write_frames(writer, range(2))
    async with aclosing(writer.view.read(writer.view.extent.end)) as sealed:
        await anext(sealed)
    _end(threads.store, 4)
    await writer.append(chunk(2), mark(2))
    with pytest.raises(FencedError):
        await writer.close()
    assert stored_log(threads.store).count(b"[DONE]") == 1


@pytest.mark.parametrize("dies_at", range(1, 14))
@pytest.mark.parametrize("late", [True, False])
async def test_who_dies_over_it_leaves_a_log_that_another_can_close(
    tmp_path: Path, dies_at: int, *, late: bool
) -> None:
    store = FaultyStore(FolderArchive(tmp_path / "archive"))
    async with threads_over(store) as threads:
        await _broken_off(threads.with_store(store.real))
        calls = 0

        def die(method: str, key: str, after: bool) -> None:
            nonlocal calls
            calls += not after
            if calls >= dies_at and after == late:
                raise ArchiveError("killed")

        store.fault = die
        try:
            _end(store, 2)
        except ArchiveError:
            assert calls >= dies_at
        ending = _end(store.real, 2)
        assert ending.reason == "cancelled"
        data = stored_log(store.real)
        assert (data.count(b"[DONE]"), frames_of(data)) == (1, [0, 1, 2, 3])
        assert check_log(store.real, PREFIX) == []
        assert store.real.read(results_key(PREFIX)) is not None
