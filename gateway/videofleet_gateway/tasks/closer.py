"""Ends the logs of tasks that no worker will end: those that were cancelled, and those that have failed for good.

Every replica does so. Whose end is stored first is the end; the others find it there.
"""

import asyncio
import logging
import uuid
from typing import Final

from videofleet_api.phases import Phase
from videofleet_api.redaction import redact_text
from videofleet_api.results import FinishReason
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_gateway.context import Context
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.tasks.tasks import CANCELLED, Task, task_of

_log: Final = logging.getLogger(__name__)
_FAILED: Final = frozenset({Phase.INTERRUPTED, Phase.NOT_STARTED, Phase.MISCONFIGURED})
_RETRY_SECONDS: Final = 2.0
_AT_ONCE: Final = 4


def closing_of(task: Task, owner: str) -> Closing | None:
    """The end that is to be written to a task's log; None while a worker may still write it. Pure."""
    job, standing = task.job, task.standing
    status = job.status
    reason: FinishReason | None = None
    error: tuple[str, str] | None = None
    if CANCELLED in job.annotations:
        # The worker is told before the phase says so; until then it is the worker's log.
        if status.phase is Phase.DISABLED or standing.over or (standing.untouched and not standing.enabled):
            reason = "cancelled"
    elif task.is_own and standing.over and status.phase in _FAILED:
        reason, error = "error", _error(job)
    if reason is None:
        return None
    epoch = max(1, status.epoch, status.spent_epoch or 0)
    return Closing(job.uid, max(1, status.run), epoch, owner, reason, task.model, error)


def _error(job: Job) -> tuple[str, str]:
    last = job.status.last_error
    if last is not None:
        return last.code, redact_text(last.message)
    return str(job.status.reason or "FAILED"), redact_text(job.status.message or "the task failed")


class Closer:
    """Looks at every job that changes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._owner = f"gateway-{uuid.uuid4().hex[:12]}"
        self._closed: set[tuple[str, int]] = set()
        self._wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._waiting: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        cache = self._context.jobs.cache
        await cache.wait_synced()
        cache.listeners.append(self._changed)
        try:
            for job in cache.all():
                self._changed(job)
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._work())
        finally:
            cache.listeners.remove(self._changed)

    def _changed(self, job: Job) -> None:
        key = (job.namespace, job.name)
        task = task_of(job)
        if task is not None and closing_of(task, self._owner) is not None and key not in self._waiting:
            self._waiting.add(key)
            self._wanted.put_nowait(key)

    async def _work(self) -> None:
        while True:
            key = await self._wanted.get()
            self._waiting.discard(key)
            job = self._context.jobs.cache.by_name(*key)
            task = None if job is None else task_of(job)
            if task is not None and not await self._close(task):
                await asyncio.sleep(_RETRY_SECONDS)
                self._changed(task.job)

    async def _close(self, task: Task) -> bool:
        """Whether nothing is left to do for this task."""
        closing = closing_of(task, self._owner)
        if closing is None or (closing.uid, closing.run) in self._closed:
            return True
        threads = self._context.archive.threads
        try:
            ending = await threads.call(close_log, threads.store, task.prefix, closing)
        except ArchiveError as error:
            _log.warning("the log of %s is not closed yet: %s", task.id, error)
            return False
        except FencedError:
            # A worker has begun anew meanwhile; the phase will tell.
            return True
        except ArchiveCorruptError as error:
            _log.error("the log of %s cannot be closed: %s", task.id, error)
            return True
        self._closed.add((closing.uid, closing.run))
        _log.info("the log of %s is over: %s", task.id, ending.reason)
        return True
