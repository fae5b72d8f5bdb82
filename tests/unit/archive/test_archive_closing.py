"""The end of a log that no worker will write any more."""

import json

import pytest

from tests.support.archives import PREFIX, ids_of, open_writer, stored_log, threads_over, write_frames
from videofleet_archive import log
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.errors import FencedError
from videofleet_archive.results import results_key
from videofleet_archive.store import ObjectArchive
from videofleet_archive.writer import LogWriter

CANCELLED = Closing("job-1", 1, 1, "gateway-a", "cancelled")


def last_chunk(data: bytes) -> dict[str, object]:
    return dict(json.loads(list(log.documents(data))[-1]))


def test_a_log_without_anything_has_an_end_alone() -> None:
    store = ObjectArchive.in_memory()
    failed = Closing("job-1", 1, 1, "gateway-a", "error", "qwen", ("NOT_FOUND", "nothing is there"))
    close_log(store, PREFIX, failed)
    data = stored_log(store)
    assert log.is_finished(data)
    assert log.error_of(data) == ("NOT_FOUND", "nothing is there")
    assert last_chunk(data)["model"] == "qwen"
    assert ids_of(data)[-1] == len(data)
    summary = json.loads(store.read(results_key(PREFIX)) or b"")
    assert (summary["finish_reason"], summary["tracks"]) == ("error", [])


async def test_results_that_are_there_stay_and_count() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(3))
        await writer.close()
        before = stored_log(threads.store)
        ending = close_log(threads.store, PREFIX, CANCELLED)
        data = stored_log(threads.store)
    assert data.startswith(before)
    assert ending.usage.processed_frames == 3
    assert last_chunk(data)["finish_reason"] == "cancelled"
    assert "model" not in last_chunk(data)


async def test_the_worker_that_still_writes_finds_its_place_taken() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(1))
        close_log(threads.store, PREFIX, CANCELLED)
        with pytest.raises(FencedError):
            await _go_on(writer)
        data = stored_log(threads.store)
    assert log.is_finished(data)
    assert data.count(log.DONE) == 1


async def _go_on(writer: LogWriter) -> None:
    await write_frames(writer, range(1, 3))
    await writer.close()


def test_of_two_that_close_a_log_the_first_says_how_it_ended() -> None:
    store = ObjectArchive.in_memory()
    first = close_log(store, PREFIX, CANCELLED)
    data = stored_log(store)
    assert close_log(store, PREFIX, Closing("job-1", 1, 1, "gateway-b", "error")) == first
    assert stored_log(store) == data


async def test_an_epoch_that_has_been_overtaken_closes_nothing() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 2)
        await write_frames(writer, range(1))
        await writer.close()
        before = stored_log(threads.store)
        with pytest.raises(FencedError):
            close_log(threads.store, PREFIX, CANCELLED)
        assert stored_log(threads.store) == before
