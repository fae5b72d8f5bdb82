"""Opening the logs of a job's analytics."""

import asyncio
import logging
from typing import Final

from videofleet_worker.archive.errors import ArchiveError
from videofleet_worker.archive.opening import OpenedLog, open_log
from videofleet_worker.archive.store import ObjectArchive
from videofleet_worker.archive.threads import StoreThreads
from videofleet_worker.archive.writer import Counters, SealPolicy
from videofleet_worker.jobs.assignments import Job

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)

_RECORDED_SECONDS: Final = 0.25
_LIVE_SECONDS: Final = 1.0
_UNARCHIVED_SECONDS: Final = 0.05
_LIVE_BYTES: Final = 256 * 1024 * 1024
_UNARCHIVED_BYTES: Final = 4 * 1024 * 1024


def seal_policy(job: Job, *, live: bool) -> SealPolicy:
    """How results of this job are sealed, and how many of them are kept."""
    if not job.spec.archive_enabled:
        return SealPolicy(_UNARCHIVED_SECONDS, keep_bytes=_UNARCHIVED_BYTES)
    if live:
        return SealPolicy(_LIVE_SECONDS, wait_when_full=False, keep_bytes=job.spec.archive_max_bytes or _LIVE_BYTES)
    return SealPolicy(_RECORDED_SECONDS)


def storage(job: Job, archive: StoreThreads) -> StoreThreads:
    """Where the job's results go; without an archive into memory, for those who read along."""
    return archive if job.spec.archive_enabled else archive.with_store(ObjectArchive.in_memory())


async def open_job_log(job: Job, prefix: str, threads: StoreThreads, owner: str, counters: Counters) -> OpenedLog:
    """Own the log under the prefix, trying again for some seconds where the store fails. Raises as `open_log`."""
    for delay in _RETRY_SECONDS:
        try:
            return await open_log(threads, prefix, job.epoch, owner, seal_policy(job, live=False), counters)
        except ArchiveError as error:
            counters.store_failed()
            _LOGGER.warning("cannot open the results of %s: %s", job.entry.name, error, extra={"uid": job.uid})
            await asyncio.sleep(delay)
    return await open_log(threads, prefix, job.epoch, owner, seal_policy(job, live=False), counters)
