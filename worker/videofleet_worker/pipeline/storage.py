"""Where and how the logs of a job's analytics are kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from videofleet_api.outputs import ArchiveDetail
from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import ObjectArchive, Store
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import Counters, SealPolicy
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.outputs.frames import MOST_BYTES

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)

T = TypeVar("T")

_UNARCHIVED_SECONDS: Final = 0.1
_LIVE_BYTES: Final = 256 * 1024 * 1024
_LIVE_RETENTION: Final = 7 * 86400.0
_UNARCHIVED_BYTES: Final = 4 * 1024 * 1024
_LIVE_SHOTS: Final = 1000
_UNARCHIVED_SHOTS: Final = 64
_UNARCHIVED_FRAME_BYTES: Final = 16 * 1024 * 1024


def seal_policy(job: Job, store: Store, *, live: bool) -> SealPolicy:
    """How results of this job are sealed in the store, and how many of them are kept."""
    seals = store.seals
    if not job.spec.archive_enabled:
        # In memory: who reads along has each frame at once.
        return SealPolicy(0.0, unattended_seconds=_UNARCHIVED_SECONDS, keep_bytes=_UNARCHIVED_BYTES, merges=False)
    if live:
        return SealPolicy(
            seals.attended,
            # Who takes the job over waits for what is sealed, like one who reads.
            unattended_seconds=None if job.entry.leaves else seals.unattended,
            segment_bytes=seals.segment_bytes,
            wait_when_full=False,
            keep_bytes=job.spec.archive_max_bytes or _LIVE_BYTES,
            keep_seconds=job.spec.archive_retention or _LIVE_RETENTION,
            detail=job.spec.archive_detail or ArchiveDetail.TRACKS,
        )
    return SealPolicy(
        seals.recorded,
        segment_bytes=seals.segment_bytes,
        keep_seconds=job.spec.archive_retention,
        detail=job.spec.archive_detail or ArchiveDetail.FRAMES,
    )


@dataclass(frozen=True, slots=True)
class ShotsKept:
    """How many best shots of an analytics stay stored, the newest (None: all), and how many bytes of the frames that
    they come from while these wait for the router."""

    shots: int | None
    frame_bytes: int = MOST_BYTES


def shots_kept(job: Job, *, live: bool) -> ShotsKept:
    """What stays of the best shots of this job."""
    if not job.spec.archive_enabled:
        return ShotsKept(_UNARCHIVED_SHOTS, _UNARCHIVED_FRAME_BYTES)
    return ShotsKept(_LIVE_SHOTS if live else None)


def storage(job: Job, archive: StoreThreads) -> StoreThreads:
    """Where the job's results go; without an archive into memory, for those who read along."""
    return archive if job.spec.archive_enabled else archive.with_store(ObjectArchive.in_memory())


async def persistently(attempt: Callable[[], Awaitable[T]], job: Job, counters: Counters) -> T:
    """What `attempt` gives, trying again for some seconds where the store fails. Raises as `attempt` does."""
    for delay in _RETRY_SECONDS:
        try:
            return await attempt()
        except ArchiveError as error:
            counters.store_failed()
            _LOGGER.warning("cannot open the results of %s: %s", job.entry.name, error, extra={"uid": job.uid})
            await asyncio.sleep(delay)
    return await attempt()
