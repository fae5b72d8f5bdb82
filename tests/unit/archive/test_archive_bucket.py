"""An archive in a bucket: moto's server, versitygw where it is built, and faults on the way to them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.archives import (
    CountedCalls,
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
from tests.support.buckets import (
    SECRET,
    Fault,
    FaultyProxy,
    PythonBucket,
    Request,
    archive_at,
    bucket_server,
    credentials,
)
from tests.support.versity import PROGRAM, VersityBucket, versity_bucket
from videofleet_archive.bucket import BucketArchive, credentials_of
from videofleet_archive.errors import ArchiveError, FencedError, UnsuitableArchiveError
from videofleet_archive.location import Location
from videofleet_archive.store import FolderArchive, ObjectArchive, Store
from videofleet_archive.writer import SealPolicy

Server = PythonBucket | VersityBucket


@pytest.fixture(scope="module", params=["moto", "versitygw"] if PROGRAM else ["moto"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bucket")
    with bucket_server() if request.param == "moto" else versity_bucket(folder) as one:
        yield one


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(server) as proxy:
        yield proxy


@pytest.fixture
def archive(proxy: FaultyProxy, tmp_path: Path) -> BucketArchive:
    """Behind the proxy; each test has a prefix of its own."""
    return archive_at(proxy.address, tmp_path / "credentials", prefix=tmp_path.name)


def _times(count: int, fault: Fault, part: str = "chunks") -> Callable[[Request], Fault | None]:
    """The fault for the first writes of keys with this part."""
    left = [fault] * count

    def plan(request: Request) -> Fault | None:
        return left.pop() if left and request.writes(part) else None

    return plan


def test_it_is_a_store_like_any_other(archive: BucketArchive) -> None:
    assert archive.create("a/b", b"first")
    assert not archive.create("a/b", b"second")
    assert archive.read("a/b") == b"first"
    assert archive.read_range("a/b", 1, 3) == b"ir"
    assert archive.read_range("a/b", 3, 99) == b"st"
    assert (archive.read("a/c"), archive.read_range("a/c", 0, 1)) == (None, None)
    archive.replace("a/c/d", b"third")
    assert [(one.key, one.size) for one in archive.listing("a")] == [("a/b", 5), ("a/c/d", 5)]
    assert archive.folders("a") == ["a/c"]
    archive.delete(["a/b", "a/c/d", "a/never"])
    assert archive.listing("a") == []


def test_objects_are_dated_by_the_store(archive: BucketArchive) -> None:
    archive.create("a/b", b"first")
    (one,) = archive.listing("a")
    assert one.modified > 1_700_000_000


def test_more_objects_than_a_page_has_are_listed_in_order(
    archive: BucketArchive, server: Server, tmp_path: Path
) -> None:
    names = [f"a/{number:05d}" for number in range(1100)]
    server.put_at_once(tmp_path.name, names)
    assert [one.key for one in archive.listing("a")] == names


def test_a_store_that_refuses_second_objects_is_fit(archive: BucketArchive) -> None:
    archive.probe()
    assert archive.listing("") == []


def test_a_store_that_does_not_know_conditions_is_refused(tmp_path: Path) -> None:
    # The condition is signed, and moto does not look at signatures.
    with bucket_server() as server, FaultyProxy(server) as proxy:
        proxy.plan = lambda request: Fault.UNCONDITIONAL
        with pytest.raises(UnsuitableArchiveError, match="write over each other"):
            archive_at(proxy.address, tmp_path).probe()


@pytest.fixture(params=["folder", "memory", "versitygw"] if PROGRAM else ["folder", "memory"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Stores in which many may write; moto itself lets two create one key."""
    match request.param:
        case "folder":
            yield FolderArchive(tmp_path / "archive")
        case "memory":
            yield ObjectArchive.in_memory()
        case _:
            with versity_bucket(tmp_path / "bucket") as address:
                yield archive_at(address, tmp_path / "credentials")


def test_of_many_who_create_one_key_at_once_one_does(shared: Store) -> None:
    together = threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait(30)
        return shared.create("a/b", b"%d" % number)

    for _ in range(5):
        with ThreadPoolExecutor(8) as executor:
            created = list(executor.map(create, range(8)))
        assert created.count(True) == 1
        assert shared.read("a/b") == b"%d" % created.index(True)
        shared.delete(["a/b"])


def test_a_store_that_is_away_is_not_called_unfit(archive: BucketArchive, proxy: FaultyProxy) -> None:
    proxy.plan = lambda request: Fault.ERROR_500
    with pytest.raises(ArchiveError) as error:
        archive.probe()
    assert not isinstance(error.value, UnsuitableArchiveError)


def test_a_bucket_that_is_not_there_is_named(server: Server, tmp_path: Path) -> None:
    archive = BucketArchive("nowhere", "", endpoint=server.url, region="us-east-1", credentials=credentials(tmp_path))
    with pytest.raises(ArchiveError, match="bucket"):
        archive.probe()


def test_credentials_are_read_again_and_never_told(tmp_path: Path) -> None:
    learnt: list[set[str | None]] = []
    read = credentials_of(credentials(tmp_path / "secret", "first", "hidden"), lambda words: learnt.append({*words}))
    assert (read()["access_key_id"], read()["secret_access_key"]) == ("first", "hidden")
    credentials(tmp_path / "secret", "second", "hidden too")
    assert read()["access_key_id"] == "second"
    assert learnt[-2:] == [{"first", "hidden", None}, {"second", "hidden too", None}], "whoever hides them is told"
    (tmp_path / "secret" / "secretAccessKey").unlink()
    with pytest.raises(ValueError, match="has no key secretAccessKey"):
        read()


def test_missing_credentials_are_an_error_that_names_the_key(server: Server, tmp_path: Path) -> None:
    folder = credentials(tmp_path)
    (folder / "accessKeyId").unlink()
    archive = BucketArchive("results", "", endpoint=server.url, region="us-east-1", credentials=folder)
    with pytest.raises(ArchiveError, match="accessKeyId") as error:
        archive.create("a", b"")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
async def test_whatever_becomes_of_a_write_each_frame_is_told_once(
    archive: BucketArchive, proxy: FaultyProxy, fault: Fault
) -> None:
    async with threads_over(archive) as threads:
        counters = CountedCalls()
        writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=600), counters=counters)
        proxy.plan = _times(4, fault)
        await write_frames(writer, range(6))
        await writer.finish(terminal(5), mark(5))
        data = stored_log(archive)
        assert frames_of(data) == list(range(6))
        assert ids_of(data) == ends_of_events(data)


@pytest.mark.parametrize("fault", [Fault.NO_ANSWER, Fault.ERROR_500_AFTER, Fault.CONFLICT_409, Fault.REFUSED])
async def test_an_epoch_that_hears_nothing_of_its_comment_owns_the_log_all_the_same(
    archive: BucketArchive, proxy: FaultyProxy, fault: Fault
) -> None:
    async with threads_over(archive) as threads:
        old = await open_writer(threads, 1)
        await write_frames(old, range(2))
        await old.close()
        # More often than the client tries by itself.
        proxy.plan = _times(2, fault)
        opened = None
        while opened is None:
            try:
                opened = await open_epoch(threads, 2)
            except ArchiveError:
                continue
        assert opened.writer is not None
        assert opened.resume is not None
        assert opened.resume.sidecar.frame_index == 1
        await write_frames(opened.writer, range(2, 4))
        await opened.writer.close()
        assert frames_of(stored_log(archive)) == [0, 1, 2, 3]


async def test_a_writer_that_was_overtaken_while_the_store_was_away_for_it_stops(
    archive: BucketArchive, proxy: FaultyProxy, server: Server, tmp_path: Path
) -> None:
    beside = archive_at(server, tmp_path / "credentials", prefix=tmp_path.name)
    async with threads_over(archive) as threads:
        old = await open_writer(threads, 1)
        proxy.plan = lambda request: Fault.REFUSED
        await old.append(chunk(99), mark(99))
        new = await open_writer(threads.with_store(beside), 2)
        await write_frames(new, range(2))
        await new.close()
        proxy.plan = lambda request: None
        with pytest.raises(FencedError):
            await old.close()
        assert frames_of(stored_log(beside)) == [0, 1]


async def test_results_are_collected_longer_while_nobody_reads(archive: BucketArchive) -> None:
    async with threads_over(archive) as threads:
        seals = archive.seals
        policy = SealPolicy(0.0, unattended_seconds=600.0, segment_bytes=seals.segment_bytes)
        writer = await open_writer(threads, 1, policy=policy)
        end = writer.view.extent.end
        await write_frames(writer, range(5))
        assert writer.view.extent.end == end
        reading = writer.view.read(end)
        assert frames_of(await anext(reading)) == list(range(5))
        await writer.append(chunk(5), mark(5))
        assert frames_of(await anext(reading)) == [5]
        await reading.aclose()
        await writer.close()
        assert writer.view.readers == 0


def test_a_bucket_gets_fewer_and_larger_objects_than_a_folder(archive: BucketArchive, tmp_path: Path) -> None:
    folder = FolderArchive(tmp_path / "archive")
    assert (archive.seals.recorded, archive.seals.attended, archive.seals.unattended) == (0.2, 0.2, 10.0)
    assert archive.seals.segment_bytes == 2**20 > folder.seals.segment_bytes


def test_a_location_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert isinstance(Location(str(tmp_path / "archive")).open(), FolderArchive)
    assert isinstance(Location("s3://results/a/b", credentials=credentials(tmp_path)).open(), BucketArchive)
    for wrong in ("s3://", "gs://results", "s3://UPPER/x"):
        with pytest.raises(ArchiveError, match="neither a folder nor"):
            Location(wrong).open()
