"""What is done in an archive for jobs that nothing runs any more: in a folder, and in a bucket of moto's server."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.archives import (
    PREFIX,
    FaultyStore,
    ended,
    mark,
    open_writer,
    stored_log,
    threads_over,
    write_frames,
)
from tests.support.buckets import Address, archive_at, bucket_server
from videofleet_api.finalize import Finalize, NotedJob, NotedRun, Notes, RunEnd, Untold
from videofleet_api.names import archive_prefix
from videofleet_api.outputs import ArchiveDetail, DeletionPolicy
from videofleet_archive import log, notes
from videofleet_archive.acquire import acquire, look
from videofleet_archive.check import logs_below
from videofleet_archive.errors import ArchiveError
from videofleet_archive.finalizing import Finalizer
from videofleet_archive.results import results_key
from videofleet_archive.shots import shot_key
from videofleet_archive.store import Archive, FolderArchive, ObjectArchive
from videofleet_archive.tracks import file_tracks, filed_hours
from videofleet_archive.writer import SealPolicy

NAMESPACE, UID, RUN, _ = PREFIX.split("/")
FLEET = "fleet-1"
JOB = NotedJob(namespace=NAMESPACE, uid=UID)
UNTOLD = Untold(namespace=NAMESPACE, uid=UID, run=int(RUN), epoch=3, worker="one")
FIRST = NotedRun(namespace=NAMESPACE, uid=UID, run=int(RUN))


@pytest.fixture(scope="module")
def server() -> Iterator[Address]:
    with bucket_server() as address:
        yield address


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, server: Address, tmp_path: Path) -> Archive:
    if request.param == "folder":
        return FolderArchive(tmp_path / "archive")
    return archive_at(server, tmp_path / "credentials", prefix=tmp_path.name)


def entry(*ends: RunEnd, **fields: object) -> Finalize:
    return Finalize.model_validate({"key": "k", "uid": UID, "namespace": NAMESPACE, "ends": list(ends), **fields})


def cancelled(run: int = 1, epoch: int | None = None) -> RunEnd:
    return RunEnd(run=run, epoch=epoch, reason="cancelled")


async def results(store: Archive, *, deletes: bool = False) -> None:
    """Three frames of a run that nobody has ended."""
    notes.note_run(store, FLEET, FIRST, ["main"])
    if deletes:
        notes.note_deletion(store, FLEET, JOB)
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1)
        await write_frames(writer, range(3))
        await writer.close()


async def test_a_run_that_was_broken_off_gets_its_end_and_its_summary(store: Archive) -> None:
    await results(store)
    before = stored_log(store)
    finalizer = Finalizer(store, FLEET, "one")
    finalizer.finalize(entry(cancelled()))
    ended = stored_log(store)
    assert ended.startswith(before)
    assert log.is_finished(ended)
    assert store.read(results_key(PREFIX)) is not None
    assert notes.read_notes(store, FLEET).runs == []
    finalizer.finalize(entry(RunEnd(run=1, epoch=9, reason="error", code="NETWORK", message="away")))
    assert stored_log(store) == ended, "whoever asks again finds it done"


async def test_results_go_with_the_job_where_that_is_its_policy(store: Archive) -> None:
    await results(store, deletes=True)
    finalizer = Finalizer(store, FLEET, "one")
    finalizer.finalize(entry(cancelled(), gone=True))
    assert store.listing(f"{NAMESPACE}/{UID}") == []
    assert notes.read_notes(store, FLEET).deleted == [JOB], "a writer that was cut off may still leave something"
    store.create(f"{PREFIX}/chunks/0000000000000077", b"late")
    finalizer.finalize(entry(gone=True))
    finalizer.finalize(entry(gone=True))
    assert logs_below(store, "") == []
    assert notes.read_notes(store, FLEET).deleted == []


async def test_tracks_by_the_hour_and_pictures_go_with_them(store: Archive) -> None:
    policy = SealPolicy(seconds=0, segment_bytes=1, detail=ArchiveDetail.TRACKS)
    async with threads_over(store) as threads:
        writer = await open_writer(threads, 1, policy=policy)
        for track, frame in enumerate((5, 40_000)):
            await writer.append(ended(frame, track), mark(frame, track, live=True))
        await writer.close()
    file_tracks(store, PREFIX)
    store.replace(shot_key(PREFIX, 0), b"a picture")
    assert len(filed_hours(store, PREFIX)) == 1
    Finalizer(store, FLEET, "one").finalize(entry(cancelled(), gone=True, deletion=DeletionPolicy.DELETE))
    assert store.listing(NAMESPACE) == []
    assert store.folders(NAMESPACE) == []


async def test_they_stay_otherwise_and_while_the_job_is_there(store: Archive) -> None:
    await results(store)
    finalizer = Finalizer(store, FLEET, "one")
    finalizer.finalize(entry(cancelled(), gone=True))
    finalizer.finalize(entry(deletion=DeletionPolicy.DELETE))
    assert log.is_finished(stored_log(store))
    assert notes.is_noted_for_deletion(store, FLEET, JOB)
    finalizer.finalize(entry(deletion=DeletionPolicy.RETAIN, gone=True))
    assert log.is_finished(stored_log(store))


def test_the_last_word_of_the_leader_counts_more_than_a_note() -> None:
    store = ObjectArchive.in_memory()
    notes.note_deletion(store, FLEET, JOB)
    acquire(store, PREFIX, 1, "worker")
    Finalizer(store, FLEET, "one").finalize(entry(gone=True, deletion=DeletionPolicy.RETAIN))
    assert store.listing(NAMESPACE) != []
    Finalizer(store, FLEET, "one").finalize(entry(gone=True, deletion=DeletionPolicy.DELETE))
    assert store.listing(NAMESPACE) == []


def test_every_analytics_that_was_noted_is_ended_and_others_where_nothing_was() -> None:
    store = ObjectArchive.in_memory()
    notes.note_run(store, FLEET, FIRST, ["people", "cars"])
    second = RunEnd(run=2, reason="error", code="CODEC", message="no such codec", analytics=["main"])
    Finalizer(store, FLEET, "one").finalize(entry(cancelled(), second))
    endings = [
        look(store, archive_prefix(NAMESPACE, UID, run, name)).ending for run, name in ((1, "people"), (1, "cars"))
    ]
    assert [each.reason for each in endings if each is not None] == ["cancelled", "cancelled"]
    failed = look(store, archive_prefix(NAMESPACE, UID, 2, "main")).ending
    assert failed is not None
    assert failed.error == ("CODEC", "no such codec")


async def test_what_a_later_epoch_goes_on_with_is_left_alone() -> None:
    store = ObjectArchive.in_memory()
    notes.note_run(store, FLEET, FIRST, ["main"])
    acquire(store, PREFIX, 5, "worker")
    Finalizer(store, FLEET, "one").finalize(entry(cancelled(epoch=4)))
    assert not log.is_finished(stored_log(store))
    assert notes.read_notes(store, FLEET).runs == [FIRST]
    Finalizer(store, FLEET, "one").finalize(entry(cancelled(epoch=5)))
    assert log.is_finished(stored_log(store))


def test_notes_of_another_operator_are_not_seen() -> None:
    store = ObjectArchive.in_memory()
    notes.note_run(store, "fleet-2", FIRST, ["main"])
    notes.note_deletion(store, "fleet-2", JOB)
    notes.note_untold(store, "fleet-2", UNTOLD)
    assert notes.read_notes(store, FLEET) == Notes()
    Finalizer(store, FLEET, "one").finalize(entry(cancelled(), gone=True))
    theirs = notes.read_notes(store, "fleet-2")
    assert (theirs.runs, theirs.deleted, theirs.untold) == ([FIRST], [JOB], [UNTOLD])


def test_each_epoch_notes_its_own_receivers(store: Archive) -> None:
    later = UNTOLD.model_copy(update={"epoch": 4})
    for each in (UNTOLD, later, UNTOLD):
        notes.note_untold(store, FLEET, each)
    assert notes.read_notes(store, FLEET) == Notes(untold=[UNTOLD, later])
    for _ in range(2):
        notes.forget_untold(store, FLEET, [UNTOLD])
        assert notes.read_notes(store, FLEET).untold == [later]


def test_names_that_mean_nothing_are_passed_over() -> None:
    store = ObjectArchive.in_memory()
    for name in ("odd", "a.b", "a.b.0", "a.b.c", "..1", "a.b.1.2"):
        store.create(f".begun/{FLEET}/{name}", b"")
        store.create(f".deleted/{FLEET}/{name}.", b"")
        store.create(f".untold/{FLEET}/{name}.", b"")
    assert (notes.read_notes(store, FLEET).runs, notes.read_notes(store, FLEET).untold) == ([], [])


@pytest.mark.parametrize("late", [False, True])
def test_whoever_is_interrupted_is_followed_by_one_who_ends_it(late: bool) -> None:
    """At every call of the store, before it took effect and after."""
    wanted = entry(cancelled(), deletion=DeletionPolicy.DELETE)
    calls, at = 1, 0
    while at < calls:
        real = ObjectArchive.in_memory()
        notes.note_run(real, FLEET, FIRST, ["main"])
        acquire(real, PREFIX, 1, "worker")
        failing = FaultyStore(real, _fails_at(at, late))
        with pytest.raises(ArchiveError):
            Finalizer(failing, FLEET, "one").finalize(wanted)
        following = FaultyStore(real)
        Finalizer(following, FLEET, "two").finalize(wanted)
        assert stored_log(real).count(log.DONE) == 1
        assert notes.read_notes(real, FLEET).runs == []
        assert notes.is_noted_for_deletion(real, FLEET, JOB)
        if not at:
            calls = len(following.calls)
        at += 1


def _fails_at(number: int, late: bool) -> Callable[[str, str, bool], None]:
    seen = itertools.count()

    def fault(method: str, key: str, now_late: bool) -> None:
        if now_late is late and next(seen) == number:
            raise ArchiveError(f"{method} {key} failed")

    return fault
