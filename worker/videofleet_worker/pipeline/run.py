"""One job on this worker, from its spec to its end: source, inference, analytics, reports."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from videofleet_api.codes import ErrorCode, SourceHealth
from videofleet_api.protocol import JobProgress
from videofleet_api.results import FinishReason
from videofleet_archive.acquire import Ending
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.models.batching import EngineClosedError, InferenceError
from videofleet_worker.models.engines import ModelDoesNotRunError
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.pipeline.answers import Answers, answered_frames
from videofleet_worker.pipeline.continuation import Counts
from videofleet_worker.pipeline.endings import tell_ending
from videofleet_worker.pipeline.logs import JobLogs, RunOverError
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.ownership import Ownership, all_sealed
from videofleet_worker.pipeline.pictures import SharedFrame
from videofleet_worker.pipeline.plan import Plan, make_plan
from videofleet_worker.pipeline.progress import ProgressMeter
from videofleet_worker.pipeline.request import no_frame, source_info_before, source_request
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.pipeline.steps import Workshop
from videofleet_worker.pipeline.storage import persistently
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
_FLUSH_SECONDS: Final = 5.0


class StreamRun:
    """Runs one (uid, epoch). `run` returns when the job is over here; cancelling it seals what there is."""

    def __init__(self, job: Job, tools: Tools, reporter: JobReporter) -> None:
        self.job = job
        self.counters = StreamCounters()
        self.outlets = JobOutlets(tools.ways)
        self.logs = JobLogs(job, tools, self.outlets, self.counters)
        self.source: StreamSource | None = None
        self._tools = tools
        self._reporter = reporter
        self._began = tools.clock.monotonic()
        self._meter = ProgressMeter(self._began)
        self._ownership = Ownership(self.logs.own)
        self._last_frame: float | None = None
        self._plan: Plan | None = None
        self._refusal: RefusedError | None = None
        self._stopped = False
        self._shop = Workshop(tools.engines, tools.picture_threads, job.uid)
        # The number of the privacy masks that the settings ask for.
        self._masks = 0

    async def run(self) -> None:
        """Raises nothing that can be foreseen: how the job ended is in its report."""
        try:
            await persistently(self.logs.notes.begin, self.job, self.counters)
            plan = self._plan = self._make_plan()
            self.outlets.use(self.job.spec.outputs)
            endings = await self.logs.see(plan)
            self._tools.leftovers.look_back(self.job, self.logs.threads, self._tools.ways)
            if self.logs.runs:
                await self._tools.engines.open(sorted(plan.models))
                await self._run_to_end(plan)
            else:
                await self.outlets.flush(_FLUSH_SECONDS)
                await self._tell(endings)
        except RunOverError as error:
            await self._tell(error.endings)
        except RefusedError as error:
            self._reporter.refused(error.code, error.message)
        except FencedError as error:
            _LOGGER.info("superseded: %s", error, extra=self.job.fields)
            self._reporter.superseded()
        except (ModelDoesNotRunError, ModelFolderError) as error:
            self._reporter.failed(ErrorCode.INTERNAL, str(error), self._progress())
        except (ArchiveError, ArchiveCorruptError) as error:
            self._reporter.failed(ErrorCode.INTERNAL, f"the archive cannot be used: {error}", self._progress())
        finally:
            await _to_its_end(self._close())

    def adapt(self, job: Job) -> None:
        """Take over other settings of the same epoch, before the next frame.

        What cannot run with them is refused then, as it would be at a start: how a job ends must not depend on when
        it was edited.
        """
        self.job = self.logs.job = job
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
    def plan(self) -> Plan | None:
        """What the job means on this worker; None while that is not known, and where it was refused."""
        return self._plan

    @property
    def processed(self) -> int:
        """Frames analysed in this epoch."""
        return self._meter.frames

    @property
    def is_live(self) -> bool:
        """Whether the source is endless; False while that is not known."""
        return self.source is not None and self.source.info is not None and self.source.info.live

    # Logs

    async def _has_come_to_own(self) -> bool:
        """Whether the logs are this epoch's own since the result before. Raises as `JobLogs.own` does."""
        overlaps = self.job.entry.takes_over and self.is_live and self.job.spec.archive_enabled
        ripe = partial(all_sealed, self.logs.runs, self.logs.threads.store, self._tools.clock) if overlaps else None
        return await self._ownership.proceed(ripe, wait=not self.is_live)

    async def _tell(self, endings: list[Ending]) -> None:
        await self.logs.notes.over()
        tell_ending(self._reporter, endings, self._tools.wall_clock())

    # The source

    async def _run_to_end(self, plan: Plan) -> None:
        resumes = self.logs.resumes
        if self.logs.have_all and resumes[0] is not None:
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
                if self.logs.have_all:
                    return
        if not self._stopped and not self.logs.processed:
            raise SourceError(ErrorCode.EMPTY, no_frame(self.job.spec.range, source.info))

    async def _analyse(self, shared: SharedFrame, answers: Answers) -> None:
        try:
            if self._refusal is not None:
                raise self._refusal
            self.logs.use(answers.plan, live=self.is_live)
            counts = self._counts()
            first = await self._has_come_to_own()
            # A run that was finished meanwhile leaves.
            for one in tuple(self.logs.runs):
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

    def _on_event(self, event: SourceEvent) -> None:
        match event:
            case Opened(info):
                self._opened(info)
                if info.live and self.source is not None:
                    self._reporter.health(self.source.health.state, self.source.health.message)
            case Reconnecting(error=error):
                code, message = error.code, event.message
                _LOGGER.warning("reconnecting: %s", message, extra=self.job.fields | {"code": code.value})
                self._reporter.reconnecting(code, message)
            case Reconnected(gap, error):
                _LOGGER.info("reconnected after %.1f s: %s", gap, error.message, extra=self.job.fields)
                if self._ownership.complete:
                    self._reporter.running(self._tools.wall_clock())
                else:
                    self._reporter.opening()
            case ClockChanged():
                level = logging.WARNING if event.clock == "implausible" else logging.INFO
                _LOGGER.log(level, event.message, extra=self.job.fields)
            case HealthChanged(health, message):
                if health is not SourceHealth.HEALTHY:
                    _LOGGER.warning("source ill: %s", message, extra=self.job.fields | {"health": health.value})
                self._reporter.health(health, message)

    def _opened(self, info: SourceInfo) -> None:
        _LOGGER.info("source open", extra=self.job.fields | {"codec": info.codec, "live": info.live})
        self.logs.opened(info)

    def _counts(self) -> Counts:
        counters = self.source.counters if self.source else Counters()
        elapsed = self._tools.clock.monotonic() - self._began
        return Counts(counters.behind, sum(counters.dropped.values()), round(1000 * elapsed))

    def _progress(self) -> JobProgress:
        counters, info = (self.source.counters, self.source.info) if self.source else (Counters(), None)
        return JobProgress(
            decoded_frames=counters.behind,
            processed_frames=self.logs.processed,
            total_frames=info.total_frames if info else None,
            dropped_frames=counters.dropped,
            source_fps=(info.fps or None) if info else None,
            processed_fps=self._meter.rate,
            last_frame_time=self._last_frame,
            **self.outlets.told(),
        )

    # The end

    async def _finish(self) -> None:
        limit = self.job.spec.max_frames
        counts = self._counts()
        await self._ownership.demand()
        for one in self.logs.runs:
            reason: FinishReason = "max_frames" if limit is not None and one.processed >= limit else "stop"
            await one.finish("cancelled" if self._stopped else reason, counts)
        await self.logs.notes.over()
        self._meter.measure(self._tools.clock.monotonic())
        if self.source is not None:
            _LOGGER.info("ended", extra=self.job.fields | self.source.counters.decoding)
        await self.outlets.flush(_FLUSH_SECONDS)
        self._reporter.ended(self._progress())

    async def _fail(self, code: ErrorCode, message: str) -> None:
        """Seal, then tell. Only where nothing will follow is the end written into the results."""
        if self.job.spec.single_pass and self._tools.ends():
            # Nobody is told: the one pass is not over. It goes on elsewhere, as those of any worker that ends.
            _LOGGER.warning("left to another worker: %s", message, extra=self.job.fields)
            return
        _LOGGER.warning("failed: %s", message, extra=self.job.fields | {"code": code.value})
        counts = self._counts()
        if await self._ownership.settle():
            self._reporter.running(self._last_frame or self._tools.wall_clock())
        for one in self.logs.runs:
            if self.job.spec.single_pass and self._ownership.complete:
                await one.finish("error", counts, (code.value, message))
            else:
                await self.logs.seal(one)
        self._reporter.failed(code, message, self._progress())

    async def _close(self) -> None:
        """Stop the source, seal what there is. After a fence, a cancellation or an end alike."""
        if self.source is not None:
            await self.source.close()
        await self._ownership.settle()
        await self.logs.close()
        await self._tools.leftovers.leave(self.job.entry, self.outlets, self.logs.notes.told)


async def _to_its_end(closing: Coroutine[Any, Any, None]) -> None:
    """Wait for it to the end, also where that is cancelled: what it leaves undone nobody does."""
    task = asyncio.create_task(closing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
