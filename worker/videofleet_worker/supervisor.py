"""Keeps the running jobs equal to the assignments."""

import asyncio
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.finalize import Finalize, Notes
from videofleet_api.protocol import AssignmentAnswer, AssignmentConflict, AssignmentSet, Delivered, JobReport
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Assignments, Change, Job, apply
from videofleet_worker.jobs.events import EventHub
from videofleet_worker.jobs.finalizing import Finalizing
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.logs import Secrets, secrets_of_outputs, secrets_of_source
from videofleet_worker.pipeline.run import StreamRun
from videofleet_worker.pipeline.untold import UntoldRuns

_LOGGER: Final = logging.getLogger(__name__)

MakeRun = Callable[[Job, JobReporter], StreamRun]


class DrainingError(Exception):
    """The worker takes no more jobs."""


@dataclass(eq=False)
class Running:
    """One assigned job: its run, its report, and the task until it is over here."""

    job: Job
    run: StreamRun
    reporter: JobReporter
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Starts and stops runs. An epoch of a job begins only when the one before has closed its logs."""

    def __init__(
        self, instance: str, make_run: MakeRun, secrets: Secrets, archive: StoreThreads, untold: UntoldRuns
    ) -> None:
        self._assignments = Assignments(instance)
        self._make_run = make_run
        self._secrets = secrets
        self._running: dict[str, Running] = {}
        self._ending: dict[str, set[asyncio.Task[None]]] = {}
        self._draining = False
        self._untold = untold
        self._finalizing = Finalizing(
            archive, instance, lambda *done: self.hub.publish_finalized(*done), self._quiet, self._tell
        )
        self.hub = EventHub(lambda: self._assignments, self.reports, finalized=lambda: self._finalizing.done)

    @property
    def assignments(self) -> Assignments:
        """The set in force."""
        return self._assignments

    def running(self) -> list[Running]:
        """Everything assigned, also what is over but still listed."""
        return list(self._running.values())

    @property
    def at_work(self) -> int:
        """How many jobs have not come to their end here."""
        return sum(one.task is None or not one.task.done() for one in self._running.values()) + len(self._ending)

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._draining

    def find(self, uid: str) -> Running | None:
        """The job with this uid, where it is assigned."""
        return self._running.get(uid)

    def reports(self) -> list[JobReport]:
        """The report of everything assigned."""
        return [one.reporter.report for one in self._running.values()]

    def apply(self, wanted: AssignmentSet) -> AssignmentAnswer | AssignmentConflict:
        """Take a set. Raises DrainingError when it would start something on a worker that drains."""
        change = apply(self._assignments, wanted)
        if isinstance(change, AssignmentConflict):
            return change
        if self._draining and (change.start or change.need):
            raise DrainingError("this worker drains and takes no more jobs")
        self._assignments = change.assignments
        self._carry_out(change)
        self._finalizing.follow(wanted.fleet, wanted.finalize)
        return AssignmentAnswer(need=list(change.need))

    async def notes(self, fleet: str) -> Notes:
        """What workers of this operator have noted in the archive. Raises ArchiveError."""
        return await self._finalizing.notes(fleet)

    async def run_dry(self, seconds: float) -> None:
        """Take nothing new, and wait until every job has ended here or was taken away, at most so long."""
        self._draining = True
        tasks = [one.task for one in self._running.values() if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def drain(self) -> list[JobReport]:
        """Take nothing new, stop every job and seal its results; the reports as they were left."""
        self._draining = True
        await self._stop_all()
        return self.reports()

    async def close(self, seconds: float) -> None:
        """Stop everything and seal, for at most so long."""
        self._draining = True
        await self._finalizing.close()
        try:
            async with asyncio.timeout(seconds):
                await self._stop_all()
        except TimeoutError:
            _LOGGER.warning("not everything was sealed within %.0f s", seconds)

    def _carry_out(self, change: Change) -> None:
        for job in change.stop:
            self._stop(self._running.pop(job.uid))
        for job in change.start:
            self._start(job)
        for job in change.adapt:
            self._adapt(job)

    def _start(self, job: Job) -> None:
        self._secrets.remember(job.uid, _secrets_of(job))
        redact = functools.partial(self._secrets.redact_for, job.uid)
        reporter = JobReporter(job.uid, job.epoch, lambda report: self._publish(one, report), redact)
        one = Running(job, self._make_run(job, reporter), reporter)
        self._running[job.uid] = one
        before = frozenset(self._ending.get(job.uid, ()))
        one.task = asyncio.create_task(self._drive(one, before), name=f"job {job.uid} epoch {job.epoch}")
        one.reporter.preparing()
        _LOGGER.info("job taken", extra=one.job.fields)

    def _adapt(self, job: Job) -> None:
        one = self._running[job.uid]
        self._secrets.remember(job.uid, (*_secrets_of(one.job), *_secrets_of(job)))
        one.job = job
        one.run.adapt(job)
        _LOGGER.info("new settings", extra=one.job.fields)

    def _publish(self, one: Running, report: JobReport) -> None:
        # What a stopped epoch still has to say concerns nobody.
        if self._running.get(one.job.uid) is one:
            self.hub.publish(report)

    def _stop(self, one: Running) -> None:
        _LOGGER.info("job released", extra=one.job.fields)
        if one.task is None:
            return
        one.task.cancel()
        self._ending.setdefault(one.job.uid, set()).add(one.task)
        one.task.add_done_callback(lambda task: self._ended(one.job.uid, task))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        left = self._ending.get(uid, set())
        left.discard(task)
        if not left:
            self._ending.pop(uid, None)
            if uid not in self._running:
                self._secrets.forget(uid)

    async def _drive(self, one: Running, before: frozenset[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        try:
            await one.run.run()
        except Exception as error:
            # The last line of defence: one job must not take the worker and its neighbours down.
            _LOGGER.exception("a job failed unexpectedly", extra=one.job.fields)
            one.reporter.failed(ErrorCode.INTERNAL, f"internal error: {type(error).__name__}: {error}")

    async def _quiet(self, wanted: Finalize) -> None:
        """What was stopped here seals what it has first: those are results, too."""
        if ending := self._ending.get(wanted.uid):
            await asyncio.wait(frozenset(ending))

    async def _tell(self, fleet: str, wanted: Finalize) -> Delivered | None:
        """Tell receivers what they do not have of runs that are over, or that nobody has."""
        self._secrets.remember(wanted.key, secrets_of_outputs(wanted.outputs))
        try:
            delivered = await self._untold.tell(fleet, wanted)
            if delivered is None:
                return None
            return delivered.model_copy(update={"message": self._secrets.redact_for(wanted.key, delivered.message)})
        finally:
            self._secrets.forget(wanted.key)

    async def _stop_all(self) -> None:
        tasks = [one.task for one in self._running.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        tasks += [task for ending in self._ending.values() for task in ending]
        if tasks:
            await asyncio.wait(tasks)


def _secrets_of(job: Job) -> tuple[str | None, ...]:
    """What of a job must be shown to nobody."""
    return *secrets_of_source(job.spec.source), *secrets_of_outputs(job.spec.outputs)
