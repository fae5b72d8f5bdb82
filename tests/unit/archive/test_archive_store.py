"""The folder under the archive."""

import os
from pathlib import Path

import pytest

from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import FolderArchive, ObjectArchive, Store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return FolderArchive(tmp_path / "archive") if request.param == "folder" else ObjectArchive.in_memory()


def test_a_key_is_created_once(store: Store) -> None:
    assert store.create("a/b", b"first")
    assert not store.create("a/b", b"second")
    assert store.read("a/b") == b"first"


def test_replacing_takes_the_newest(store: Store) -> None:
    store.replace("a/b", b"first")
    store.replace("a/b", b"second")
    assert store.read("a/b") == b"second"


def test_what_is_not_there_reads_as_nothing(store: Store) -> None:
    assert store.read("a/b") is None
    assert store.listing("a") == []


def test_a_listing_is_sorted_and_has_sizes(store: Store) -> None:
    for key in ("a/2", "a/1", "b/1"):
        store.create(key, key.encode() * 2)
    assert [(one.key, one.size) for one in store.listing("a")] == [("a/1", 6), ("a/2", 6)]


def test_deleting_what_is_gone_is_no_error(store: Store) -> None:
    store.create("a/1", b"x")
    store.delete(["a/1", "a/2", "a/1"])
    assert store.listing("a") == []


def test_nothing_is_left_in_staging(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    store.create("a/1", b"x")
    store.create("a/1", b"y")
    store.replace("a/2", b"z")
    store.probe()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "a/1",
        "a/2",
    ]


def test_old_staging_files_are_cleaned_and_new_ones_left(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    store.create("a/1", b"x")
    old, new = tmp_path / ".staging" / "old", tmp_path / ".staging" / "new"
    for path in (old, new):
        path.write_bytes(b"left by a crash")
    os.utime(old, (1000, 1000))
    store.clean(older_than=2000)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "archive"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(ArchiveError, match="archive"):
        FolderArchive(blocked).probe()
