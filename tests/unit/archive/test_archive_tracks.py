"""Logs that tell events: tracks in files by the hour, over epochs and ends, and what the check makes of them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.archives import (
    AT_ONCE,
    PREFIX,
    captured,
    chunk,
    ended,
    mark,
    open_epoch,
    open_writer,
    stored_log,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_api.outputs import ArchiveDetail
from videofleet_archive import log
from videofleet_archive.acquire import scan
from videofleet_archive.check import check_log
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.reader import Logs, offset_at
from videofleet_archive.results import RunSummary, results_document, write_results
from videofleet_archive.store import ObjectArchive, Store
from videofleet_archive.sweeping import sweep, write_retention
from videofleet_archive.tending import Tending
from videofleet_archive.threads import StoreThreads
from videofleet_archive.tracks import (
    file_last_tracks,
    file_tracks,
    filed_hours,
    filed_tracks,
    hour_of,
    read_tracks,
    tracks_key,
)

TRACKS = replace(AT_ONCE, segment_bytes=1, detail=ArchiveDetail.TRACKS)
HOUR = 36_000
"""Frames."""
FIRST = hour_of(captured(0))
CANCELLED = Closing("job-1", 1, 9, "gateway-a", "cancelled")


async def write(threads: StoreThreads, epoch: int, frames: Sequence[tuple[int, Sequence[int]]], *there: int) -> None:
    """As an epoch, tell frames in which these tracks have ended; the last one is followed by the death of it."""
    writer = await open_writer(threads, epoch, policy=TRACKS)
    for frame, tracks in frames:
        await writer.append(ended(frame, *tracks), mark(frame, 99, *there, live=True))
    await writer.close()


def ids(store: Store, hour: int) -> list[int]:
    return [one.track_id for one in filed_tracks(store, PREFIX, hour)]


async def test_tracks_are_filed_by_the_hour_in_which_the_log_tells_their_ends() -> None:
    async with threads_over() as threads:
        store = threads.store
        await write(threads, 1, [(5, [1, 2]), (9, []), (HOUR + 3, [3])])
        assert file_tracks(store, PREFIX) == FIRST + 1
        assert filed_hours(store, PREFIX) == [FIRST], "the second hour may bring more"
        assert tracks_key(PREFIX, FIRST) == f"{PREFIX}/tracks/2023-11-14T22.ndjson"
        await write(threads, 2, [(HOUR + 9, [4]), (3 * HOUR, [])])
        assert file_tracks(store, PREFIX) == FIRST + 3
        assert {hour - FIRST: ids(store, hour) for hour in filed_hours(store, PREFIX)} == {0: [1, 2], 1: [3, 4]}
        first = filed_tracks(store, PREFIX, FIRST)[0]
        assert (first.class_, first.last_frame, first.last_time) == ("person", 5, captured(5))
        assert stored_log(store)[: first.offset].endswith(b"\n\n"), "the id of the event that tells it"
        assert check_log(store, PREFIX) == []


async def test_a_clock_that_goes_back_adds_nothing_to_an_hour_that_is_over() -> None:
    async with threads_over() as threads:
        await write(threads, 1, [(HOUR, [1]), (2 * HOUR, [])])
        file_tracks(threads.store, PREFIX)
        late = json.loads(ended(2 * HOUR, 2))
        late["stream_info"]["capture_time"] = captured(HOUR)
        writer = await open_writer(threads, 2, policy=TRACKS)
        await writer.append(json.dumps(late).encode(), mark(2 * HOUR, 99, live=True))
        await writer.append(ended(3 * HOUR, 3), mark(3 * HOUR, 99, live=True))
        await writer.close()
        file_tracks(threads.store, PREFIX)
        assert {hour - FIRST: ids(threads.store, hour) for hour in filed_hours(threads.store, PREFIX)} == {
            1: [1],
            2: [2],
        }
        assert check_log(threads.store, PREFIX) == []


async def test_two_that_file_the_same_hour_make_the_same_file() -> None:
    async with threads_over() as threads:
        await write(threads, 1, [(1, [1]), (HOUR, [2]), (2 * HOUR, [])])
        file_tracks(threads.store, PREFIX)
        files = [threads.store.read(tracks_key(PREFIX, FIRST + at)) for at in (0, 1)]
        threads.store.delete([tracks_key(PREFIX, FIRST)])
        threads.store.delete([tracks_key(PREFIX, FIRST + 1)])
        file_tracks(threads.store, PREFIX)
        assert files == [threads.store.read(tracks_key(PREFIX, FIRST + at)) for at in (0, 1)]


async def test_the_writer_files_hours_that_are_over_and_drops_files_that_are_too_old() -> None:
    async with threads_over() as threads:
        await write(threads, 1, [(1, [1]), (HOUR, [2]), (2 * HOUR, [])])
        view = (await open_epoch(threads, 2, policy=TRACKS)).view
        tending = Tending(view)
        await tending.file(captured(2 * HOUR), None, captured(2 * HOUR))
        assert filed_hours(threads.store, PREFIX) == [FIRST, FIRST + 1]
        await write(threads, 3, [(3 * HOUR, [3])])
        await tending.file(captured(2 * HOUR + 5), 7200, captured(3 * HOUR))
        assert filed_hours(threads.store, PREFIX) == [FIRST, FIRST + 1], "nothing new in this hour"
        await tending.file(captured(3 * HOUR), 7200, captured(3 * HOUR))
        assert filed_hours(threads.store, PREFIX) == [FIRST + 1]


async def test_tracks_are_read_from_a_time_on_whether_they_are_filed_or_not() -> None:
    async with threads_over() as threads:
        await write(threads, 1, [(1, [1]), (5, [2]), (HOUR, [3]), (HOUR + 1, [4])])
        for filed in (False, True):
            if filed:
                file_tracks(threads.store, PREFIX)
            for since, wanted in ((0.0, [1, 2, 3, 4]), (captured(5), [2, 3, 4]), (captured(HOUR + 1), [4])):
                found = read_tracks(threads.store, PREFIX, since)
                assert found is not None
                assert [one.track_id for one in found] == wanted, (filed, since)


async def test_a_log_that_tells_frames_has_no_tracks_to_read() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(3))
        await writer.close()
        assert read_tracks(threads.store, PREFIX) is None
        file_last_tracks(threads.store, PREFIX)
        assert filed_hours(threads.store, PREFIX) == []


@pytest.mark.parametrize("detail", [ArchiveDetail.TRACKS, ArchiveDetail.EVENTS])
async def test_whoever_ends_a_log_tells_the_ends_of_the_tracks_that_were_there(detail: ArchiveDetail) -> None:
    async with threads_over() as threads:
        store = threads.store
        writer = await open_writer(threads, 1, policy=replace(TRACKS, detail=detail))
        await writer.append(ended(7, 1), mark(7, 3, 2, 3, live=True))
        await writer.close()
        for _ in range(2):
            close_log(store, PREFIX, CANCELLED)
        found = read_tracks(store, PREFIX)
        assert found is not None
        assert {one.track_id: one.interrupted for one in found} == {1: False, 2: True, 3: True}
        filed = ids(store, FIRST) if detail is ArchiveDetail.TRACKS else []
        assert filed == ([1, 2, 3] if detail is ArchiveDetail.TRACKS else [])
        assert log.is_finished(stored_log(store))
        assert check_log(store, PREFIX) == []


async def test_the_summary_of_a_run_takes_the_word_of_its_log_for_a_track() -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1, policy=TRACKS)
        begun = json.loads(chunk(2, (1, 2)))
        begun["delta"]["results"][0]["events"] = [{"kind": "track_begin", "track_id": 1, "class": "person"}]
        await writer.append(json.dumps(begun).encode(), mark(2, 2))
        await writer.append(ended(7, 1), mark(7, 2))
        await writer.finish(terminal(7), mark(7, 2))
        write_results(threads.store, PREFIX, "a-model")
        summary = RunSummary()
        for document in log.documents(stored_log(threads.store)):
            summary.add(json.loads(document))
        tracks = summary.result("a-model").tracks
        assert [(one.track_id, one.first_frame, one.last_frame) for one in tracks] == [(1, 7, 7), (2, 2, 2)]
        assert check_log(threads.store, PREFIX) == []
        assert b"first_time" not in results_document(threads.store, PREFIX, "a-model")


async def test_old_tracks_go_with_old_results() -> None:
    async with threads_over() as threads:
        store = threads.store
        await write(threads, 1, [(1, [1]), (HOUR, [2])])
        file_tracks(store, PREFIX)
        write_retention(store, PREFIX, 3600)
        now = store.listing(PREFIX)[-1].modified
        assert sweep(store, [PREFIX], now + 600).failed == 0
        assert filed_hours(store, PREFIX) == [FIRST]
        sweep(store, [PREFIX], now + 5000)
        assert filed_hours(store, PREFIX) == []
        assert scan(store, PREFIX).segments, "it may go on"


async def test_a_log_of_events_is_read_from_a_time_and_from_the_oldest_and_never_below_the_horizon() -> None:
    async with threads_over() as threads:
        store = threads.store
        await write(threads, 1, [(10, [1]), (20, [2]), (30, [3])])
        extent = scan(store, PREFIX)
        at = offset_at(store, PREFIX, extent, captured(15))
        assert stored_log(store)[at:].startswith(b"data: ")
        assert next(log.documents(stored_log(store)[at:])) == ended(20, 2)
        dropped = extent.drop_above(len(stored_log(store)[at:]))
        store.delete([one.key(PREFIX) for one in dropped])
        async with Logs(threads).open(PREFIX) as reading:
            assert reading.start == at, "the horizon begins an event"
            whole = b"".join([data async for data in reading.read(reading.start, follow=False)])
        assert whole.count(b"data: ") == 2


class TestTheCheck:
    """Says what is wrong with files of tracks."""

    @pytest.fixture
    async def store(self) -> Store:
        async with threads_over(ObjectArchive.in_memory()) as threads:
            await write(threads, 1, [(1, [1]), (5, [2]), (HOUR, [3]), (2 * HOUR, [])])
            file_tracks(threads.store, PREFIX)
            assert check_log(threads.store, PREFIX) == []
            return threads.store

    def said(self, store: Store) -> str:
        return "\n".join(map(str, check_log(store, PREFIX)))

    def test_a_track_that_is_missing(self, store: Store) -> None:
        key = tracks_key(PREFIX, FIRST)
        store.replace(key, (store.read(key) or b"").splitlines(keepends=True)[0])
        assert f"{key} at " in self.said(store)
        assert "track 2 is missing" in self.said(store)

    def test_a_track_that_the_log_tells_otherwise(self, store: Store) -> None:
        key = tracks_key(PREFIX, FIRST)
        store.replace(key, (store.read(key) or b"").replace(b'"person"', b'"rabbit"'))
        assert "the log does not tell what is filed of track 1" in self.said(store)

    def test_what_is_no_track_and_no_hour(self, store: Store) -> None:
        store.replace(tracks_key(PREFIX, FIRST), b"{}\n")
        store.create(f"{PREFIX}/tracks/yesterday.ndjson", b"")
        assert "holds a track that cannot be read" in self.said(store)
        assert "yesterday.ndjson: this is no name of a file of tracks" in self.said(store)

    async def test_a_track_that_ends_twice(self) -> None:
        async with threads_over() as threads:
            await write(threads, 1, [(1, [1]), (5, [1])])
            assert "track 1 has ended before" in self.said(threads.store)

    async def test_files_of_what_the_log_has_no_more_are_right(self) -> None:
        async with threads_over() as threads:
            await write(threads, 1, [(1, [1]), (HOUR, [2]), (2 * HOUR, [3])])
            file_tracks(threads.store, PREFIX)
            extent = scan(threads.store, PREFIX)
            threads.store.delete([one.key(PREFIX) for one in extent.drop_above(1)])
            assert check_log(threads.store, PREFIX) == []
