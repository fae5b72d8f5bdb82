"""What is left to do in the archive for a job that nothing runs any more. Blocking; may be done again, by anybody."""

import logging
from dataclasses import dataclass
from typing import Final

from videofleet_api.finalize import Finalize, NotedJob, NotedRun, RunEnd
from videofleet_api.names import archive_prefix
from videofleet_api.outputs import DeletionPolicy
from videofleet_archive import notes
from videofleet_archive.acquire import look
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.errors import FencedError
from videofleet_archive.store import Store

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finalizer:
    """Works in one archive for the workers of one operator. `owner` differs between writers."""

    store: Store
    fleet: str
    owner: str

    def finalize(self, wanted: Finalize) -> None:
        """End what is over, note what is to be noted, remove what goes. Raises ArchiveError, ArchiveCorruptError."""
        job = NotedJob(namespace=wanted.namespace, uid=wanted.uid)
        # First, so that whoever is interrupted here is followed by one who knows.
        self._note(job, wanted.deletion)
        for end in wanted.ends:
            self._end(job, end)
        if wanted.gone and notes.is_noted_for_deletion(self.store, self.fleet, job):
            self._delete(job)

    def _note(self, job: NotedJob, policy: DeletionPolicy | None) -> None:
        match policy:
            case DeletionPolicy.DELETE:
                notes.note_deletion(self.store, self.fleet, job)
            case DeletionPolicy.RETAIN:
                notes.forget_deletion(self.store, self.fleet, job)
            case None:
                return

    def _end(self, job: NotedJob, end: RunEnd) -> None:
        run = NotedRun(namespace=job.namespace, uid=job.uid, run=end.run)
        noted = notes.noted_analytics(self.store, self.fleet, run)
        over = [self._close(run, each, end) for each in (end.analytics if noted is None else noted)]
        if all(over):
            notes.forget_run(self.store, self.fleet, run)

    def _close(self, run: NotedRun, analytics: str, end: RunEnd) -> bool:
        """Whether the log is over now."""
        prefix = archive_prefix(run.namespace, run.uid, run.run, analytics)
        epoch = end.epoch or max(1, look(self.store, prefix).newest_epoch)
        error = (end.code, end.message or "") if end.code is not None else None
        closing = Closing(run.uid, run.run, epoch, self.owner, end.reason, error=error)
        try:
            ending = close_log(self.store, prefix, closing)
        except FencedError as fenced:
            # What somebody goes on with is not over, whoever said so.
            _LOGGER.warning("not ended: %s", fenced, extra={"uid": run.uid})
            return False
        _LOGGER.info("the log %s is over: %s", prefix, ending.reason, extra={"uid": run.uid})
        return True

    def _delete(self, job: NotedJob) -> None:
        """Remove everything. The note goes once there is nothing: a writer that has lost its operator may go on for a
        while, and what it leaves is removed when the note is looked at next."""
        if count := self.store.remove(f"{job.namespace}/{job.uid}"):
            _LOGGER.info("results removed", extra={"uid": job.uid, "objects": count})
        else:
            notes.forget_deletion(self.store, self.fleet, job)
