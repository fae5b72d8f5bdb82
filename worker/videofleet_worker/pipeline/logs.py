"""The logs of a job's analytics: looked at, made an epoch's own, and sealed when its run leaves them."""

import asyncio
import logging
from functools import partial
from typing import Final

from videofleet_archive.acquire import Ending, ResumePoint
from videofleet_archive.documents import chunk_id
from videofleet_archive.errors import FencedError
from videofleet_archive.opening import SeenLog, see_log
from videofleet_archive.results import snapshot_key
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.pipeline.analytics import AnalyticsRun
from videofleet_worker.pipeline.endings import RunNotes
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.pictures import Pictures
from videofleet_worker.pipeline.plan import AnalyticsPlan, Plan
from videofleet_worker.pipeline.shots import Shots
from videofleet_worker.pipeline.storage import persistently, seal_policy, shots_kept, storage
from videofleet_worker.pipeline.telling import Telling, origin_of
from videofleet_worker.pipeline.tools import StreamCounters, Tools
from videofleet_worker.sources.events import SourceInfo

_LOGGER: Final = logging.getLogger(__name__)
_CLOSE_SECONDS: Final = 10.0


class RunOverError(Exception):
    """An earlier epoch has finished the run."""

    def __init__(self, endings: list[Ending]) -> None:
        super().__init__("the run is over")
        self.endings = endings


class JobLogs:
    """What one (uid, epoch) has of its logs, by the name of the analytics; `runs` write those that are not finished."""

    def __init__(self, job: Job, tools: Tools, outlets: JobOutlets, counters: StreamCounters) -> None:
        self.job = job
        self.threads: StoreThreads = storage(job, tools.archive)
        self.notes = RunNotes(job, self.threads, tools.owner)
        self.views: dict[str, LogView] = {}
        self.pictures: dict[str, Pictures] = {}
        self.shots: dict[str, Shots] = {}
        self.runs: list[AnalyticsRun] = []
        self._tools = tools
        self._outlets = outlets
        self._counters = counters

    async def see(self, plan: Plan) -> list[Ending]:
        """Where earlier epochs are, one of which may still run elsewhere; the endings of logs that are finished.

        Raises ArchiveError and ArchiveCorruptError.
        """
        endings = []
        for analytics in plan.analytics:
            prefix = self.job.prefix(analytics.name)
            log = await persistently(partial(see_log, self.threads, prefix), self.job, self._counters)
            one = self._run_of(analytics, prefix, log)
            if log.ending is None:
                self.runs.append(one)
            else:
                endings.append(log.ending)
                # The worker that finished it may have died before its summary, and before its receivers had everything.
                await one.summarise()
                await persistently(one.serve_rest, self.job, self._counters)
        return endings

    def _run_of(self, analytics: AnalyticsPlan, prefix: str, log: SeenLog) -> AnalyticsRun:
        tools, name = self._tools, analytics.name
        self.views[name] = log.view
        pictures = Pictures(self.threads, snapshot_key(prefix), tools.picture_threads, tools.clock)
        self.pictures[name] = pictures
        shots = self.shots[name] = Shots(self.threads, prefix, tools.picture_threads)
        telling = Telling(origin_of(self.job.entry, name), self._outlets, tools.wall_clock, self.notes.tell)
        shots.on_end = telling.shot
        run_id = chunk_id(self.job.uid, self.job.entry.run)
        one = AnalyticsRun(analytics, run_id, log, pictures, shots, telling)
        one.onlooker = tools.onlooker
        return one

    async def own(self) -> None:
        """From here on the results are this epoch's; another one that runs elsewhere stops when it next seals.

        Raises FencedError, RunOverError when the run was finished meanwhile, and what `own_log` raises.
        """
        endings = []
        for one in list(self.runs):
            beside = self.job.entry.takes_over
            own = partial(one.own, self.job.epoch, self._tools.owner, self._counters, beside=beside)
            ending = await persistently(own, self.job, self._counters)
            if ending is not None:
                endings.append(ending)
                self.runs.remove(one)
        if not self.runs:
            raise RunOverError(endings)

    def opened(self, info: SourceInfo) -> None:
        """The source is open."""
        policy = seal_policy(self.job, self.threads.store, live=info.live)
        for one in self.runs:
            one.opened(info, policy, shots_kept(self.job, live=info.live))

    def use(self, plan: Plan, *, live: bool) -> None:
        """Have everything go by the plan by which the frame at hand was analysed."""
        for one in self.runs:
            if one.plan is not plan.named(one.plan.name):
                one.use(plan.named(one.plan.name), seal_policy(self.job, self.threads.store, live=live))

    @property
    def resumes(self) -> list[ResumePoint | None]:
        """Where each log that is not finished was left."""
        return [one.log.resume for one in self.runs]

    @property
    def processed(self) -> int:
        """Frames that the analytics have had, in all epochs."""
        return max((one.processed for one in self.runs), default=0)

    @property
    def have_all(self) -> bool:
        """Whether they have as many frames as the job wants."""
        limit = self.job.spec.max_frames
        return limit is not None and all(one.processed >= limit for one in self.runs)

    async def seal(self, one: AnalyticsRun) -> None:
        """Seal, but do not wait for an archive that is away longer than a while. Raises FencedError."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await one.close()
        except TimeoutError:
            _LOGGER.warning("the archive did not take the last results in time", extra=self.job.fields)
            await one.abandon()

    async def close(self) -> None:
        """Seal what there is, where another epoch has not taken over."""
        for one in self.runs:
            try:
                await self.seal(one)
            except FencedError as error:
                _LOGGER.info("superseded: %s", error, extra=self.job.fields)
