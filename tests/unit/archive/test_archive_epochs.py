"""How a new epoch takes a log over and where it goes on."""

import asyncio

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
    stored_view,
    terminal,
    write_frames,
)
from videofleet_archive.acquire import acquire
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_archive.extent import sidecar_key
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import ObjectArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy


async def test_a_first_epoch_has_nothing_to_resume(threads: StoreThreads) -> None:
    opened = await open_epoch(threads, 1)
    assert (opened.resume, opened.ending) == (None, None)
    assert stored_log(threads.store).startswith(b": epoch 1 by owner-1\n")


async def test_a_new_epoch_goes_on_after_the_last_sealed_frame(threads: StoreThreads) -> None:
    first = await open_writer(threads, 1)
    await write_frames(first, range(7))
    await first.append(chunk(7), mark(7, highest_track_id=42))
    await first.close()
    second = await open_epoch(threads, 2)
    assert second.resume is not None
    assert second.resume.sidecar.frame_index == 7
    assert second.resume.sidecar.highest_track_id == 42
    assert second.resume.sidecar.processed_frames == 8
    assert second.resume.last.stream_info.frame_index == 7


async def test_epochs_without_results_do_not_hide_those_before(threads: StoreThreads) -> None:
    first = await open_writer(threads, 1)
    await write_frames(first, range(3))
    await first.close()
    for epoch in (2, 3):
        await (await open_writer(threads, epoch)).close()
    opened = await open_epoch(threads, 4)
    assert opened.resume is not None
    assert opened.resume.sidecar.frame_index == 2


async def test_a_sidecar_without_its_segment_says_nothing(threads: StoreThreads) -> None:
    # The writer was killed between the two: what it had in hand is lost, and must be analysed again.
    store = FaultyStore(threads.store)
    first = await open_writer(threads.with_store(store), 1)
    await write_frames(first, range(3))
    await first.close()

    def die(method: str, key: str, late: bool) -> None:
        if method == "create" and "/chunks/" in key:
            raise ArchiveError("killed")

    second = await open_writer(threads.with_store(store), 2)
    store.fault = die
    await second.append(chunk(3), mark(3))
    orphan = sidecar_key(PREFIX, second.view.extent.end)
    await becomes(lambda: threads.store.read(orphan) is not None, "the sidecar is there")
    await second.abandon()
    third = await open_writer(threads, 3)
    await third.close()
    fourth = await open_epoch(threads, 4)
    assert fourth.resume is not None
    assert fourth.resume.sidecar.frame_index == 2


async def test_a_finished_log_stays_as_it_is(threads: StoreThreads) -> None:
    first = await open_writer(threads, 1)
    await write_frames(first, range(3))
    await first.finish(terminal(2, "max_frames"), mark(2))
    before = stored_log(threads.store)
    second = await open_epoch(threads, 2)
    assert second.writer is None
    assert second.ending is not None
    assert second.ending.reason == "max_frames"
    assert second.ending.usage.processed_frames == 3
    assert stored_log(threads.store) == before


async def test_of_two_processes_with_one_epoch_the_later_owns_the_log(threads: StoreThreads) -> None:
    first = await open_writer(threads, 5, owner="one")
    second = await open_writer(threads, 5, owner="two")
    await write_frames(second, range(2))
    await second.close()
    await first.append(chunk(77), mark(77))
    assert frames_of(stored_log(threads.store)) == [0, 1]
    await first.abandon()


async def test_many_epochs_at_once_leave_one_owner_and_no_hole(threads: StoreThreads) -> None:
    opened = await asyncio.gather(*(open_writer(threads, epoch) for epoch in range(1, 13)), return_exceptions=True)
    writers = [each for each in opened if isinstance(each, LogWriter)]
    assert all(isinstance(each, LogWriter | FencedError) for each in opened)
    for writer in writers:
        await writer.append(chunk(len(writers)), mark(0))
    outcomes = await asyncio.gather(*(writer.close() for writer in writers), return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert outcomes[-1] is None, "the last epoch owns it, whoever came first"
    data = stored_log(threads.store)
    assert data.count(b": epoch ") == len(writers)
    assert len(frames_of(data)) == 1


async def test_an_epoch_that_comes_late_does_not_take_the_log_from_a_later_one(threads: StoreThreads) -> None:
    await (await open_writer(threads, 1)).close()
    seen = await see_log(threads, PREFIX)
    third = await open_writer(threads, 3)
    for _ in range(2):
        with pytest.raises(FencedError, match="epoch 3 owns"):
            await own_log(seen.view, 2, "late", SealPolicy(seconds=0), CountedCalls())
        await write_frames(third, range(2))
    await third.close()


async def test_a_log_that_is_only_looked_at_goes_on_and_what_it_has_is_found_when_it_is_owned(
    threads: StoreThreads,
) -> None:
    first = await open_writer(threads, 1)
    await write_frames(first, range(3))
    seen = await see_log(threads, PREFIX)
    await write_frames(first, range(3, 5))
    await first.close()
    owned = await own_log(seen.view, 2, "next", SealPolicy(seconds=0), CountedCalls())
    assert owned.resume is not None
    assert owned.resume.sidecar.frame_index == 4
    assert owned.writer is not None
    await owned.writer.close()
    assert seen.view.extent.end == len(stored_log(threads.store)), "who reads the view reads on"


async def test_a_lost_answer_to_the_comment_is_taken_for_what_it_was() -> None:
    store = FaultyStore(ObjectArchive.in_memory())

    def answer_lost(method: str, key: str, late: bool) -> None:
        if method == "create" and late:
            store.fault = lambda method, key, late: None
            raise ArchiveError("no answer")

    store.fault = answer_lost
    with pytest.raises(ArchiveError):
        acquire(store, PREFIX, 1, "one")
    acquired = acquire(store, PREFIX, 1, "one")
    # The second attempt wrote another comment behind its first one; both are its own.
    assert acquired.extent.end == len(stored_log(store.real))


async def test_a_segment_without_its_sidecar_is_an_error_that_names_it(threads: StoreThreads) -> None:
    first = await open_writer(threads, 1)
    start = first.view.extent.end
    await write_frames(first, range(1))
    await first.close()
    threads.store.delete([sidecar_key(PREFIX, start)])
    with pytest.raises(ArchiveCorruptError, match=str(start)):
        await open_epoch(threads, 2)


async def test_a_log_can_be_viewed_without_owning_it(threads: StoreThreads) -> None:
    writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0))
    await write_frames(writer, range(4))
    await writer.close()
    view = await stored_view(threads)
    assert b"".join([data async for data in view.read(0)]) == stored_log(threads.store)
