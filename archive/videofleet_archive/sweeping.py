"""What is done for logs that nobody writes any more: old results go, what is left of a finished log is merged.

Once an hour one of the workers does it for the whole archive. How long the results of a run are kept lies beside its
log, so that it holds when the job is over, and when it has been deleted. Blocking, but for sweep_all.
"""

import logging
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from videofleet_archive.acquire import ending_of, scan
from videofleet_archive.check import logs_below
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.merging import Sizes, drop, tend
from videofleet_archive.store import Store
from videofleet_archive.threads import StoreThreads
from videofleet_archive.tracks import hour_of_key

_LOGGER: Final = logging.getLogger(__name__)
SWEEP_SECONDS: Final = 3600.0
_CLAIMS: Final = ".sweeps"
_USUAL: Final = Sizes()
_LATER: Final = 300.0


class Retention(BaseModel):
    """Beside a log: for how many seconds its results are kept."""

    seconds: float = Field(gt=0)


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    logs: int = 0
    removed: int = 0
    """Logs that went with all that lay beside them."""
    parts: int = 0
    failed: int = 0

    def add(self, other: "Swept") -> None:
        """What another one did, too."""
        self.logs += other.logs
        self.removed += other.removed
        self.parts += other.parts
        self.failed += other.failed


def retention_key(prefix: str) -> str:
    """Where it lies for how long the results of a run are kept."""
    return f"{prefix}/retention.json"


def write_retention(store: Store, prefix: str, seconds: float | None) -> None:
    """Say for how long the results of a run are kept; None: for ever."""
    if seconds is None:
        store.delete([retention_key(prefix)])
    else:
        store.replace(retention_key(prefix), Retention(seconds=seconds).model_dump_json().encode())


def read_retention(store: Store, prefix: str) -> float | None:
    """For how many seconds the results of a run are kept; None: for ever. Raises ArchiveCorruptError."""
    stored = store.read(retention_key(prefix))
    if stored is None:
        return None
    try:
        return Retention.model_validate_json(stored).seconds
    except ValidationError as error:
        raise ArchiveCorruptError(f"{retention_key(prefix)} cannot be read: {error}") from error


def claim_sweep(store: Store, now: float) -> bool:
    """Whether the sweep of this hour is the caller's; it is nobody else's then. Raises ArchiveError."""
    name = f"{int(now // SWEEP_SECONDS):012d}"
    if not store.create(f"{_CLAIMS}/{name}", b""):
        return False
    store.delete([one.key for one in store.listing(_CLAIMS) if one.key.rpartition("/")[2] < name])
    return True


async def sweep_all(threads: StoreThreads, now: float) -> Swept | None:
    """Look after the whole archive; None where somebody else does in this hour. Raises ArchiveError.

    A log at a time, in the threads for upkeep: the logs that are written wait for one of these at most.
    """
    store = threads.store
    if not await threads.call(claim_sweep, store, now):
        return None
    swept = Swept()
    for prefix in await threads.tend(logs_below, store, ""):
        swept.add(await threads.tend(sweep, store, [prefix], now))
    return swept


def sweep(store: Store, logs: list[str], now: float, sizes: Sizes = _USUAL) -> Swept:
    """Look after these logs. One that fails, or cannot be understood, holds no other one up."""
    swept = Swept(logs=len(logs))
    for prefix in logs:
        try:
            if _expire(store, prefix, now):
                swept.removed += 1
            else:
                swept.parts += _merge(store, prefix, now, sizes)
        except (ArchiveError, ArchiveCorruptError) as error:
            swept.failed += 1
            _LOGGER.warning("cannot look after %s: %s", prefix, error)
    return swept


def _expire(store: Store, prefix: str, now: float) -> bool:
    """Drop what is too old; whether that was all of it, and everything that lay beside it.

    Of a log without an end the newest piece stays, however old: it may go on, and its offsets with it.
    """
    seconds = read_retention(store, prefix)
    if seconds is None:
        return False
    # A writer that goes on drops by itself, and first.
    limit = now - seconds - _LATER
    extent = scan(store, prefix)
    ended = ending_of(store, prefix, extent) is not None
    if extent.segments and (not ended or extent.segments[-1].modified >= limit):
        if dropped := extent.drop_before(limit):
            drop(store, prefix, dropped)
        store.delete([one.key for one in store.listing(prefix) if one.modified < limit and _lies_beside(one.key)])
        return False
    # This goes last: whoever is interrupted over it is followed by one who goes on.
    last = retention_key(prefix)
    store.delete([one.key for one in store.listing(prefix) if one.key != last])
    store.remove(prefix)
    return True


def _lies_beside(key: str) -> bool:
    """Whether it is a picture, or the tracks of an hour."""
    return key.endswith(".jpg") or hour_of_key(key) is not None


def _merge(store: Store, prefix: str, now: float, sizes: Sizes) -> int:
    """Merge a finished log: one that goes on is merged by its writer."""
    finished = ending_of(store, prefix, scan(store, prefix)) is not None
    return tend(store, prefix, now, sizes, finished=True) if finished else 0
