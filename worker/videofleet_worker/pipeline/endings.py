"""What is noted of a run in the archive, and what is told of one that had ended before."""

import logging
from collections.abc import Sequence
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.finalize import NotedJob, NotedRun, Untold
from videofleet_archive import notes
from videofleet_archive.acquire import Ending
from videofleet_archive.errors import ArchiveError
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.jobs.reports import JobReporter

_LOGGER: Final = logging.getLogger(__name__)


class RunNotes:
    """Of one run; nothing where its results are not kept, or nobody would look at them."""

    def __init__(self, job: Job, threads: StoreThreads, worker: str) -> None:
        """`worker`: this process."""
        self._job = job
        self._threads = threads
        self._kept = job.spec.archive_enabled and bool(job.fleet)
        self._run = NotedRun(namespace=job.entry.namespace, uid=job.uid, run=max(1, job.entry.run))
        self._untold = Untold(**self._run.model_dump(), epoch=max(1, job.epoch), worker=worker)
        self._tells = False

    async def begin(self) -> None:
        """Before anything else: from here on somebody has to end the run. Raises ArchiveError."""
        if self._kept:
            await self._threads.call(self._begin)

    async def over(self) -> None:
        """Every log has its end. Where this cannot be noted, somebody will look for nothing."""
        if not self._kept:
            return
        try:
            await self._threads.call(notes.forget_run, self._threads.store, self._job.fleet, self._run)
        except ArchiveError as error:
            _LOGGER.warning("the end of a run is not noted: %s", error, extra={"uid": self._job.uid})

    async def tell(self) -> None:
        """Before receivers are to be told anything: from here on somebody has to see that they are. Raises
        ArchiveError."""
        if self._kept and not self._tells:
            await self._threads.call(notes.note_untold, self._threads.store, self._job.fleet, self._untold)
            self._tells = True

    async def told(self) -> None:
        """Every receiver has everything. Where this cannot be noted, somebody will look for nothing."""
        if not self._tells:
            return
        try:
            await self._threads.call(notes.forget_untold, self._threads.store, self._job.fleet, [self._untold])
        except ArchiveError as error:
            _LOGGER.warning("it is not noted that receivers have all: %s", error, extra={"uid": self._job.uid})

    def _begin(self) -> None:
        store, spec, fleet = self._threads.store, self._job.spec, self._job.fleet
        if spec.archive_deletes:
            notes.note_deletion(store, fleet, NotedJob(namespace=self._run.namespace, uid=self._run.uid))
        notes.note_run(store, fleet, self._run, [each.name for each in spec.analytics])


def tell_ending(reporter: JobReporter, endings: Sequence[Ending], now: float) -> None:
    """Every log was finished by an earlier epoch: say how, whoever asks."""
    failed = next((one for one in endings if one.reason == "error"), None)
    if failed is None:
        reporter.ended()
        return
    code, message = failed.error or (ErrorCode.INTERNAL.value, "the run ended with an error")
    reporter.running(now)
    reporter.failed(ErrorCode(code), message)
