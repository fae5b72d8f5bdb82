"""The object store under the archive: blocking calls on a folder or in memory."""

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from videofleet_archive.errors import ArchiveError, UnsuitableArchiveError

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")
_STAGING: Final = ".staging"
_LONGEST: Final = 300
"""Characters of a store's error that are told."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; `size` in bytes, `modified` the Unix time at which it was stored."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class SealTimes:
    """After how many seconds collected results become a segment, at the latest, and about how many bytes."""

    recorded: float
    attended: float
    """Of live sources, while somebody reads along."""
    unattended: float
    segment_bytes: int


class Store(Protocol):
    """Blocking calls; what returned is durable. Every failure is an ArchiveError."""

    @property
    def seals(self) -> SealTimes:
        """What suits it: one that waits and is paid for each object wants fewer and larger ones."""

    def create(self, key: str, data: bytes) -> bool:
        """Store under a new key, wholly or not at all. False: the key is taken, nothing was changed."""

    def replace(self, key: str, data: bytes) -> None:
        """Store under the key, whatever lay there."""

    def read(self, key: str) -> bytes | None:
        """The object, or None where there is none."""

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        """Bytes `start` up to `end` of the object, fewer where it is shorter, or None where there is none."""

    def listing(self, prefix: str) -> list[StoredObject]:
        """Every object under the prefix, sorted by key."""

    def folders(self, prefix: str) -> list[str]:
        """What lies directly under the prefix and holds objects itself, sorted: whole keys of folders."""

    def delete(self, keys: list[str]) -> None:
        """Remove the objects; one that is gone already is no error."""

    def remove(self, prefix: str) -> int:
        """Remove everything under the prefix, which nobody writes to any more; how many objects there were."""


class Archive(Store, Protocol):
    """A store that results are kept in."""

    seals: SealTimes

    probe_seconds: float
    """How often it is looked at."""

    logs_a_thread: int
    """Of how many logs one thread can look after the upkeep, while somebody reads along with all of them."""

    def probe(self) -> None:
        """Raise ArchiveError unless it can be written, UnsuitableArchiveError unless it refuses a second creation of
        one key."""

    def clean(self, older_than: float) -> None:
        """Remove what killed writers left behind before this Unix time."""


class ObjectArchive:
    """Any store of obstore that can create conditionally and is durable by itself."""

    seals: SealTimes = SealTimes(recorded=0.5, attended=0.2, unattended=1.0, segment_bytes=256 * 1024)
    probe_seconds: float = 10.0
    logs_a_thread: int = 64

    def __init__(self, store: LocalStore | MemoryStore | S3Store) -> None:
        self._store = store

    @classmethod
    def in_memory(cls) -> "ObjectArchive":
        """A store that ends with the process; for results that nobody wants kept."""
        return cls(MemoryStore())

    def create(self, key: str, data: bytes) -> bool:
        """See Store."""
        return _unless_taken(key, lambda: obstore.put(self._store, key, data, mode="create"))

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        _call(f"write {key}", lambda: obstore.put(self._store, key, data))

    def read(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return _call(f"read {key}", lambda: bytes(obstore.get(self._store, key).bytes()))
        except FileNotFoundError:
            return None

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        """See Store."""
        try:
            return _call(f"read {key}", lambda: bytes(obstore.get_range(self._store, key, start=start, end=end)))
        except FileNotFoundError:
            return None

    def listing(self, prefix: str) -> list[StoredObject]:
        """See Store."""

        def collect() -> list[StoredObject]:
            pages = obstore.list(self._store, prefix)
            return [_stored(meta) for page in pages for meta in page]

        return sorted(_call(f"list {prefix}", collect), key=lambda found: found.key)

    def folders(self, prefix: str) -> list[str]:
        """See Store."""
        try:
            found = _call(f"list {prefix}", lambda: obstore.list_with_delimiter(self._store, prefix or None))
        except FileNotFoundError:
            return []
        return sorted(each.rstrip("/") for each in found["common_prefixes"])

    def delete(self, keys: list[str]) -> None:
        """See Store."""
        for key in keys:
            self._delete_one(key)

    def remove(self, prefix: str) -> int:
        """See Store."""
        found = [one.key for one in self.listing(prefix)]
        self.delete(found)
        return len(found)

    def _delete_one(self, key: str) -> None:
        try:
            _call(f"delete {key}", lambda: obstore.delete(self._store, key))
        except FileNotFoundError:
            return


class FolderArchive(ObjectArchive):
    """A folder. obstore links new files into place but syncs nothing, so files and folders are synced here.

    New data go to a staging file first and are linked to their key once they are on the disk: after a power cut
    a key holds all of its bytes or does not exist.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_call(f"use {folder} as the archive", lambda: LocalStore(folder, mkdir=True)))
        self._folder = folder
        self._known: set[Path] = {folder}

    def create(self, key: str, data: bytes) -> bool:
        """See Store."""
        staged = self._stage(data)
        if not _unless_taken(key, lambda: obstore.rename(self._store, staged, key, overwrite=False)):
            self._delete_one(staged)
            return False
        self._sync_folders(key)
        return True

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        staged = self._stage(data)
        _unless_taken(key, lambda: obstore.rename(self._store, staged, key, overwrite=True))
        self._sync_folders(key)

    def remove(self, prefix: str) -> int:
        """See Store. Folders that are left empty, above it too, would be looked through for ever."""
        count = super().remove(prefix)
        top = self._folder / prefix
        below = [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
        for folder in [*below, *top.parents[: len(Path(prefix).parts) - 1]]:
            # Where somebody has written meanwhile there is something left to do.
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._known.difference_update([each for each in tuple(self._known) if each.is_relative_to(top)])
        return count

    def probe(self) -> None:
        """See Archive."""
        probe(self, str(self._folder))

    def clean(self, older_than: float) -> None:
        """Remove staging files last touched before this Unix time: left by a writer that was killed."""
        staging = self._folder / _STAGING
        for path in staging.iterdir() if staging.is_dir() else ():
            # Another worker may finish or clean the same file at this moment.
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _stage(self, data: bytes) -> str:
        staged = f"{_STAGING}/{secrets.token_hex(16)}"
        _call("write a staging file", lambda: obstore.put(self._store, staged, data, use_multipart=False))
        _sync(self._folder / staged)
        return staged

    def _sync_folders(self, key: str) -> None:
        """Sync the folder of the key, and the first time those above it: they may be new, or new again where another
        process has removed what was left empty."""
        folder = (self._folder / key).parent
        _sync(folder)
        if folder not in self._known:
            for above in folder.parents[: len(folder.relative_to(self._folder).parts)]:
                _sync(above)
            self._known.add(folder)


def probe(store: Store, name: str) -> None:
    """Raise ArchiveError unless the store can be written, UnsuitableArchiveError unless it refuses a second creation of
    one key."""
    key = f"{_STAGING}/probe-{secrets.token_hex(8)}"
    created = store.create(key, b"first")
    again = store.create(key, b"second")
    kept = store.read(key)
    store.delete([key])
    if not created or again or kept != b"first":
        raise UnsuitableArchiveError(
            f"the archive {name} does not refuse a second object under one key; "
            "two workers could write over each other's results"
        )


def _stored(meta: "ObjectMeta") -> StoredObject:
    return StoredObject(meta["path"], meta["size"], meta["last_modified"].timestamp())


def _sync(path: Path) -> None:
    def sync() -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    try:
        _call(f"sync {path}", sync)
    except FileNotFoundError as error:
        raise ArchiveError(f"cannot sync {path}: it has gone") from error


def _unless_taken(key: str, write: Callable[[], object]) -> bool:
    try:
        _call(f"write {key}", write)
    except AlreadyExistsError:
        return False
    except FileNotFoundError as error:
        raise ArchiveError(f"cannot write {key}: its folder, bucket or staging file has gone") from error
    return True


def _call(what: str, call: Callable[[], T]) -> T:
    """Run a call of the store. Absence and presence stay as they are, all else becomes an ArchiveError."""
    try:
        return call()
    except (FileNotFoundError, AlreadyExistsError):
        raise
    except (BaseError, OSError) as error:
        # obstore appends the debug form of the error after an empty line, and the whole answer of a store.
        raise ArchiveError(f"cannot {what}: {str(error).partition(chr(10))[0][:_LONGEST]}") from error
