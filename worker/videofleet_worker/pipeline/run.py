"""One job on this worker, from its spec to its end: source, inference, analytics, reports."""

import asyncio
import logging
from contextlib import aclosing
from functools import partial
from typing import Final

from videofleet_api.codes import ErrorCode, SourceHealth
from videofleet_api.protocol import JobProgress
from videofleet_api.results import FinishReason
from videofleet_archive.acquire import Ending
from videofleet_archive.documents import chunk_id
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_archive.opening import see_log
from videofleet_archive.results import snapshot_key
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.models.batching import EngineClosedError, InferenceError
from videofleet_worker.models.engines import ModelDoesNotRunError
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.pipeline.analytics import AnalyticsRun
from videofleet_worker.pipeline.answers import Answers, answered_frames
from videofleet_worker.pipeline.continuation import Counts
from videofleet_worker.pipeline.endings import RunNotes, tell_ending
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.ownership import Ownership, all_sealed
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame
from videofleet_worker.pipeline.plan import Plan, make_plan
from videofleet_worker.pipeline.progress import ProgressMeter
from videofleet_worker.pipeline.request import source_info_before, source_request
from videofleet_worker.pipeline.shots import Shots
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.pipeline.steps import Workshop
from videofleet_worker.pipeline.storage import persistently, seal_policy, shots_kept, storage
from videofleet_worker.pipeline.telling import Telling, origin_of
from videofleet_worker.pipeline.tools import AttendedPolicy, StreamCounters, Tools
from videofleet_worker.sources.counters import Counters
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.events import (
    ClockChanged,
    HealthChanged,
    Opened,
    Reconnected,
    Reconnecting,
    SourceEvent,
    SourceInfo,
)
from videofleet_worker.sources.stream import StreamSource

_LOGGER: Final = logging.getLogger(__name__)
_CLOSE_SECONDS: Final = 10.0
_FLUSH_SECONDS: Final = 5.0


class _RunOverError(Exception):
    """An earlier epoch has finished the run."""

    def __init__(self, endings: list[Ending]) -> None:
        super().__init__("the run is over")
        self.endings = endings


class StreamRun:
    """Runs one (uid, epoch). `run` returns when the job is over here; cancelling it seals what there is."""

    def __init__(self, job: Job, tools: Tools, reporter: JobReporter) -> None:
        self.job = job
        self.counters = StreamCounters()
        self.pictures: dict[str, Pictures] = {}
        self.shots: dict[str, Shots] = {}
        self.views: dict[str, LogView] = {}
        self.outlets = JobOutlets(tools.ways)
        self.source: StreamSource | None = None
        self._tools = tools
        self._reporter = reporter
        self._threads = storage(job, tools.archive)
        self._notes = RunNotes(job, self._threads, tools.owner)
        self._began = tools.clock.monotonic()
        self._meter = ProgressMeter(self._began)
        self._runs: list[AnalyticsRun] = []
        self._ownership = Ownership(self._own_logs)
        self._last_frame: float | None = None
        self._plan: Plan | None = None
        self._refusal: RefusedError | None = None
        self._stopped = False
        self._shop = Workshop(tools.engines, tools.picture_threads, job.uid)
        # The number of the privacy masks that the settings ask for.
        self._masks = 0

    @property
    def threads(self) -> StoreThreads:
        """Where the results of this job lie."""
        return self._threads

    async def run(self) -> None:
        """Raises nothing that can be foreseen: how the job ended is in its report."""
        try:
            await persistently(self._notes.begin, self.job, self.counters)
            plan = self._plan = self._make_plan()
            self.outlets.use(self.job.spec.outputs)
            endings = await self._see_logs(plan)
            self._tools.leftovers.look_back(self.job, self._threads, self._tools.ways)
            if self._runs:
                await self._tools.engines.open(sorted(plan.models))
                await self._run_to_end(plan)
            else:
                await self.outlets.flush(_FLUSH_SECONDS)
                await self._tell(endings)
        except _RunOverError as error:
            await self._tell(error.endings)
        except RefusedError as error:
            self._reporter.refused(error.code, error.message)
        except FencedError as error:
            _LOGGER.info("superseded: %s", error, extra=self.fields)
            self._reporter.superseded()
        except (ModelDoesNotRunError, ModelFolderError) as error:
            self._reporter.failed(ErrorCode.INTERNAL, str(error), self._progress())
        except (ArchiveError, ArchiveCorruptError) as error:
            self._reporter.failed(ErrorCode.INTERNAL, f"the archive cannot be used: {error}", self._progress())
        finally:
            await self._close()

    def adapt(self, job: Job) -> None:
        """Take over other settings of the same epoch, before the next frame.

        What cannot run with them is refused then, as it would be at a start: how a job ends must not depend on when
        it was edited.
        """
        self.job = job
        if self._plan is None:
            return
        try:
            plan = self._make_plan()
        except RefusedError as error:
            self._refusal = error
            return
        if self.source is not None and plan.masks != self._plan.masks:
            self._masks = self.source.use_masks(plan.masks)
        self._plan, self._refusal = plan, None
        self.outlets.use(job.spec.outputs)

    async def stop(self) -> None:
        """End the run for good with what was analysed so far: its results say `cancelled`. `run` returns soon."""
        self._stopped = True
        if self.source is not None:
            await self.source.close()

    def _make_plan(self) -> Plan:
        return make_plan(self.job.spec, self._tools.registry, self.job.entry.settings)

    @property
    def processed(self) -> int:
        """Frames analysed in this epoch."""
        return self._meter.frames

    @property
    def is_live(self) -> bool:
        """Whether the source is endless; False while that is not known."""
        return self.source is not None and self.source.info is not None and self.source.info.live

    @property
    def fields(self) -> dict[str, object]:
        """What a log record about this job carries."""
        entry = self.job.entry
        return {"uid": entry.uid, "namespace": entry.namespace, "job": entry.name, "epoch": entry.epoch}

    # Logs

    async def _see_logs(self, plan: Plan) -> list[Ending]:
        """Where earlier epochs are, one of which may still run elsewhere; the endings of logs that are finished."""
        endings = []
        for analytics in plan.analytics:
            prefix = self.job.prefix(analytics.name)
            log = await persistently(partial(see_log, self._threads, prefix), self.job, self.counters)
            self.views[analytics.name] = log.view
            pictures = Pictures(self._threads, snapshot_key(prefix), self._tools.picture_threads, self._tools.clock)
            self.pictures[analytics.name] = pictures
            shots = self.shots[analytics.name] = Shots(self._threads, prefix, self._tools.picture_threads)
            origin, now = origin_of(self.job.entry, analytics.name), self._tools.wall_clock
            telling = Telling(origin, self.outlets, now, self._notes.tell)
            shots.on_end = telling.shot
            one = AnalyticsRun(analytics, self._run_id, log, pictures, shots, telling)
            one.onlooker = self._tools.onlooker
            if log.ending is None:
                self._runs.append(one)
            else:
                endings.append(log.ending)
                # The worker that finished it may have died before its summary, and before its receivers had everything.
                await one.summarise()
                await persistently(one.serve_rest, self.job, self.counters)
        return endings

    async def _own_logs(self) -> None:
        """From here on the results are this epoch's; another one that runs elsewhere stops when it next seals.

        Raises FencedError, _RunOverError when the run was finished meanwhile, and what `own_log` raises.
        """
        endings = []
        for one in list(self._runs):
            beside = self.job.entry.takes_over
            own = partial(one.own, self.job.epoch, self._tools.owner, self.counters, beside=beside)
            ending = await persistently(own, self.job, self.counters)
            if ending is not None:
                endings.append(ending)
                self._runs.remove(one)
        if not self._runs:
            raise _RunOverError(endings)

    async def _has_come_to_own(self) -> bool:
        """Whether the logs are this epoch's own since the result before. Raises as `_own_logs` does."""
        overlaps = self.job.entry.takes_over and self.is_live and self.job.spec.archive_enabled
        ripe = partial(all_sealed, self._runs, self._threads.store, self._tools.clock) if overlaps else None
        return await self._ownership.proceed(ripe, wait=not self.is_live)

    async def _tell(self, endings: list[Ending]) -> None:
        await self._notes.over()
        tell_ending(self._reporter, endings, self._tools.wall_clock())

    @property
    def _run_id(self) -> str:
        return chunk_id(self.job.uid, self.job.entry.run)

    # The source

    async def _run_to_end(self, plan: Plan) -> None:
        resumes = [one.log.resume for one in self._runs]
        if self._has_all_frames() and resumes[0] is not None:
            self._opened(source_info_before(resumes[0]))
            await self._finish()
            return
        request = source_request(self.job.spec, plan.model_size, resumes)
        self.source = StreamSource(
            request,
            reconnect=AttendedPolicy(window=self.job.spec.reconnect_window, attended=self._tools.attended),
            clock=self._tools.clock,
            on_event=self._on_event,
            dialer=self._tools.dialer,
            file_roots=self._tools.media,
            memory=self._tools.decoder_memory,
            station=self._tools.station,
        )
        self._reporter.opening()
        try:
            if self._stopped:
                await self.source.close()
            await self._consume(self.source)
            # Stopped before the first frame there is nothing to tell the end of.
            if self._ownership.begun or not self._stopped:
                await self._finish()
        except SourceError as error:
            await self._fail(error.code, error.message)
        except (InferenceError, EngineClosedError) as error:
            await self._fail(ErrorCode.INTERNAL, str(error))

    async def _consume(self, source: StreamSource) -> None:
        answered = answered_frames(source, self._current_plan, self._shop, self.job.spec.sampling.speed)
        async with aclosing(answered):
            async for frame, answers in answered:
                await self._analyse(SharedFrame(frame), answers)
                if self._has_all_frames():
                    return
        if not self._stopped and not any(one.processed for one in self._runs):
            raise SourceError(ErrorCode.EMPTY, "the source ended without a frame")

    async def _analyse(self, shared: SharedFrame, answers: Answers) -> None:
        try:
            if self._refusal is not None:
                raise self._refusal
            self._use(answers.plan)
            counts = self._counts()
            first = await self._has_come_to_own()
            # A run that was finished meanwhile leaves.
            for one in tuple(self._runs):
                await one.add(shared, answers.findings[one.plan.name], counts)
        finally:
            shared.release()
        if shared.frame.masks >= self._masks:
            self._reporter.applied(answers.plan.settings)
        self._last_frame = self._tools.wall_clock()
        due = self._meter.frame(self._tools.clock.monotonic())
        if first:
            self._reporter.running(self._last_frame)
        if first or due:
            self._reporter.progress(self._progress())

    def _current_plan(self) -> Plan:
        assert self._plan is not None, "run() has made one"
        return self._plan

    def _use(self, plan: Plan) -> None:
        """Have everything go by the plan by which the frame at hand was analysed."""
        for one in self._runs:
            if one.plan is not plan.named(one.plan.name):
                one.use(plan.named(one.plan.name), seal_policy(self.job, self._threads.store, live=self.is_live))

    def _on_event(self, event: SourceEvent) -> None:
        match event:
            case Opened(info):
                self._opened(info)
                if info.live and self.source is not None:
                    self._reporter.health(self.source.health.state, self.source.health.message)
            case Reconnecting(error=error):
                code, message = error.code, event.message
                _LOGGER.warning("reconnecting: %s", message, extra=self.fields | {"code": code.value})
                self._reporter.reconnecting(code, message)
            case Reconnected(gap, error):
                _LOGGER.info("reconnected after %.1f s: %s", gap, error.message, extra=self.fields)
                if self._ownership.complete:
                    self._reporter.running(self._tools.wall_clock())
                else:
                    self._reporter.opening()
            case ClockChanged():
                level = logging.WARNING if event.clock == "implausible" else logging.INFO
                _LOGGER.log(level, event.message, extra=self.fields)
            case HealthChanged(health, message):
                if health is not SourceHealth.HEALTHY:
                    _LOGGER.warning("source ill: %s", message, extra=self.fields | {"health": health.value})
                self._reporter.health(health, message)

    def _opened(self, info: SourceInfo) -> None:
        _LOGGER.info("source open", extra=self.fields | {"codec": info.codec, "live": info.live})
        policy = seal_policy(self.job, self._threads.store, live=info.live)
        for one in self._runs:
            one.opened(info, policy, shots_kept(self.job, live=info.live))

    def _counts(self) -> Counts:
        counters = self.source.counters if self.source else Counters()
        elapsed = self._tools.clock.monotonic() - self._began
        return Counts(counters.behind, sum(counters.dropped.values()), round(1000 * elapsed))

    def _progress(self) -> JobProgress:
        counters, info = (self.source.counters, self.source.info) if self.source else (Counters(), None)
        return JobProgress(
            decoded_frames=counters.behind,
            processed_frames=max((one.processed for one in self._runs), default=0),
            total_frames=info.total_frames if info else None,
            dropped_frames=counters.dropped,
            source_fps=(info.fps or None) if info else None,
            processed_fps=self._meter.rate,
            last_frame_time=self._last_frame,
            **self.outlets.told(),
        )

    def _has_all_frames(self) -> bool:
        limit = self.job.spec.max_frames
        return limit is not None and all(one.processed >= limit for one in self._runs)

    # The end

    async def _finish(self) -> None:
        limit = self.job.spec.max_frames
        counts = self._counts()
        await self._ownership.demand()
        for one in self._runs:
            reason: FinishReason = "max_frames" if limit is not None and one.processed >= limit else "stop"
            await one.finish("cancelled" if self._stopped else reason, counts)
        await self._notes.over()
        self._meter.measure(self._tools.clock.monotonic())
        if self.source is not None:
            _LOGGER.info("ended", extra=self.fields | self.source.counters.decoding)
        await self.outlets.flush(_FLUSH_SECONDS)
        self._reporter.ended(self._progress())

    async def _fail(self, code: ErrorCode, message: str) -> None:
        """Seal, then tell. Only where nothing will follow is the end written into the results."""
        _LOGGER.warning("failed: %s", message, extra=self.fields | {"code": code.value})
        counts = self._counts()
        if await self._ownership.settle():
            self._reporter.running(self._last_frame or self._tools.wall_clock())
        for one in self._runs:
            if self.job.spec.single_pass and self._ownership.complete:
                await one.finish("error", counts, (code.value, message))
            else:
                await self._seal(one)
        self._reporter.failed(code, message, self._progress())

    async def _close(self) -> None:
        """Stop the source, seal what there is. After a fence, a cancellation or an end alike."""
        if self.source is not None:
            await self.source.close()
        await self._ownership.settle()
        for one in self._runs:
            try:
                await self._seal(one)
            except FencedError as error:
                _LOGGER.info("superseded: %s", error, extra=self.fields)
        await self._tools.leftovers.leave(self.job.entry, self.outlets, self._notes.told)

    async def _seal(self, one: AnalyticsRun) -> None:
        """Seal, but do not wait for an archive that is away longer than a while. Raises FencedError."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await one.close()
        except TimeoutError:
            _LOGGER.warning("the archive did not take the last results in time", extra=self.fields)
            await one.abandon()
