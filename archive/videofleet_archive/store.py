"""The object store under the archive: blocking calls on a folder or in memory."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore

from videofleet_archive.errors import ArchiveError

T = TypeVar("T")
_STAGING: Final = ".staging"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; `size` in bytes."""

    key: str
    size: int


class Store(Protocol):
    """Blocking calls; what returned is durable. Every failure is an ArchiveError."""

    def create(self, key: str, data: bytes) -> bool:
        """Store under a new key, wholly or not at all. False: the key is taken, nothing was changed."""

    def replace(self, key: str, data: bytes) -> None:
        """Store under the key, whatever lay there."""

    def read(self, key: str) -> bytes | None:
        """The object, or None where there is none."""

    def listing(self, prefix: str) -> list[StoredObject]:
        """Every object under the prefix, sorted by key."""

    def delete(self, keys: list[str]) -> None:
        """Remove the objects; one that is gone already is no error."""


class ObjectArchive:
    """Any store of obstore that can create conditionally and is durable by itself."""

    def __init__(self, store: LocalStore | MemoryStore) -> None:
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

    def listing(self, prefix: str) -> list[StoredObject]:
        """See Store."""

        def collect() -> list[StoredObject]:
            pages = obstore.list(self._store, prefix)
            return [StoredObject(key=meta["path"], size=meta["size"]) for page in pages for meta in page]

        return sorted(_call(f"list {prefix}", collect), key=lambda found: found.key)

    def delete(self, keys: list[str]) -> None:
        """See Store."""
        for key in keys:
            self._delete_one(key)

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

    def probe(self) -> None:
        """Raise ArchiveError unless the folder can be written and refuses a second creation of one key."""
        key = f"{_STAGING}/probe-{secrets.token_hex(8)}"
        created = self.create(key, b"first")
        again = self.create(key, b"second")
        self.delete([key])
        if not created or again:
            raise ArchiveError(
                f"the archive {self._folder} does not refuse a second object under one key; "
                "two workers could write over each other's results"
            )

    def clean_staging(self, older_than: float) -> None:
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
        """Sync the folder of the key, and the first time those above it, which may be new."""
        folder = (self._folder / key).parent
        _sync(folder)
        while folder not in self._known:
            self._known.add(folder)
            folder = folder.parent
            _sync(folder)


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
        raise ArchiveError(f"cannot write {key}: its staging file has gone") from error
    return True


def _call(what: str, call: Callable[[], T]) -> T:
    """Run a call of the store. Absence and presence stay as they are, all else becomes an ArchiveError."""
    try:
        return call()
    except (FileNotFoundError, AlreadyExistsError):
        raise
    except (BaseError, OSError) as error:
        # obstore appends the debug form of the error after an empty line.
        raise ArchiveError(f"cannot {what}: {str(error).partition(chr(10))[0]}") from error
