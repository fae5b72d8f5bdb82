"""A log that clients of this gateway listen to, attended at the worker that writes it.

The bytes that clients get come from the archive. From the worker comes how many there are, in the very moment;
and a worker that somebody listens to seals the results of a live source a few times a second, also in a bucket.
"""

import asyncio
from asyncio import FIRST_COMPLETED
from dataclasses import dataclass
from typing import Final

from videofleet_api.names import ArchivePlace, archive_place
from videofleet_api.phases import Phase
from videofleet_api.videojob import WorkerRef
from videofleet_archive.reader import OpenLog
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.jobs.cache import JobCache
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.workers import Workers

_AGAIN: Final = (1.0, 16.0)
"""Seconds after which a worker that did not answer is asked again: at first, and at most."""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Who has the job of a log now, and how far it is there."""

    worker: WorkerRef
    phase: Phase


class Attendance:
    """The way from a log to the worker that writes it."""

    def __init__(self, jobs: JobCache, workers: Workers) -> None:
        self._jobs = jobs
        self._workers = workers

    async def attend(self, log: OpenLog) -> None:
        """Wake who follows the log whenever there is more, whichever worker has its job, until the log or its job has
        come to an end."""
        place = archive_place(log.prefix)
        while log.ending is None and (job := self._jobs.by_uid(place.uid)) is not None:
            changed, writer = self._jobs.changed(place.uid), _writer(job, place.run)
            if writer is None:
                await asyncio.shield(changed)
                continue
            listening = asyncio.create_task(self._listen(job, place.analytics, log), name=f"attend {log.prefix}")
            try:
                while not listening.done() and self._writer(place) == writer:
                    await asyncio.wait({self._jobs.changed(place.uid), listening}, return_when=FIRST_COMPLETED)
                if listening.done():
                    listening.result()
            finally:
                listening.cancel()
                await asyncio.wait([listening])

    def _writer(self, place: ArchivePlace) -> _Writer | None:
        job = self._jobs.by_uid(place.uid)
        return _writer(job, place.run) if job is not None else None

    async def _listen(self, job: Job, analytics: str, log: OpenLog) -> None:
        """Until the log is over. What a worker does not tell is found in the archive all the same, a little later."""
        again, most = _AGAIN
        while log.ending is None:
            end = log.end
            try:
                async with self._workers.results(job, analytics, end) as stored:
                    again, _ = _AGAIN
                    async for data in stored.iter_any():
                        end += len(data)
                        log.wake(end)
            except GatewayError:
                # It has not begun yet, or is away.
                again = min(2 * again, most)
            finally:
                log.wake()
            await asyncio.sleep(again)


def _writer(job: Job, run: int) -> _Writer | None:
    status = job.status
    return _Writer(status.worker, status.phase) if status.worker is not None and status.run == run else None
