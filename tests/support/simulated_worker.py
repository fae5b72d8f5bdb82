"""A worker that analyses nothing: the protocol over mutual TLS as the real one speaks it, with scripted jobs.

The order of assignments, the event stream and the access rules are the real worker's own code; only the runs are
played. Many fit into one process, each on an address of its own.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson
from aiohttp import web

from tests.support.simulated_archive import SimulatedArchive
from tests.support.simulated_process import SimulatedProcess
from videofleet_api.codes import ErrorCode, SourceHealth
from videofleet_api.finalize import Notes
from videofleet_api.names import WORKER_API_PORT
from videofleet_api.probe import ProbeReport, ProbeRequest
from videofleet_api.protocol import (
    HEARTBEAT_SECONDS,
    AssignmentAnswer,
    AssignmentConflict,
    AssignmentSet,
    CapacityHint,
    Entry,
    JobProgress,
    JobReport,
    ModelInfo,
    WorkerInfo,
)
from videofleet_worker.jobs.assignments import Job, apply
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.server.access import check_access, errors_as_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STEPS = ("detect", "track")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a played job does, so many seconds after the step before."""

    do: Callable[[SimulatedWorker, JobReporter], None]
    after: float = 0.05


Script = Sequence[Step]


def first_frame(after: float = 0.05) -> Step:
    """The first frame has been processed."""
    return Step(lambda _, job: job.running(time.time()), after)


def end(after: float = 0.05) -> Step:
    """The source is over."""
    return Step(
        lambda _, job: job.ended(JobProgress(processed_frames=100, decoded_frames=100, total_frames=100)), after
    )


def fail(code: ErrorCode, message: str = "it went wrong", after: float = 0.05) -> Step:
    """An error ends the job."""
    return Step(lambda _, job: job.failed(code, message), after)


def refuse(code: ErrorCode, message: str = "it cannot be done", after: float = 0.05) -> Step:
    """The worker will not run it."""
    return Step(lambda _, job: job.refused(code, message), after)


def reconnect(message: str = "the camera is away", after: float = 0.05) -> Step:
    """The source is lost and tried again."""
    return Step(lambda _, job: job.reconnecting(ErrorCode.NETWORK, message), after)


def source_is(health: SourceHealth, after: float = 0.05) -> Step:
    """The frames of a live source are so from now on."""
    return Step(lambda _, job: job.health(health, f"so it is: {health}"), after)


def go_silent(after: float = 0.05) -> Step:
    """The whole worker answers nothing any more, and goes on."""
    return Step(lambda worker, _: worker.go_silent(), after)


def crash(after: float = 0.05) -> Step:
    """The worker's process dies and comes back as another instance that runs nothing."""
    return Step(lambda worker, _: worker.crash(), after)


@dataclass
class Scripts:
    """What jobs do, by name of the job: a script an epoch, the last one for all later epochs."""

    usual: Script = field(default_factory=lambda: [first_frame()])
    by_name: dict[str, Sequence[Script]] = field(default_factory=dict)
    seen: dict[str, list[int]] = field(default_factory=dict)
    """Epochs of each job that any worker has started, in order."""
    reports: list[JobReport] = field(default_factory=list)
    """Everything that any worker has told of any job, in order."""
    probed: list[ProbeRequest] = field(default_factory=list)
    """What workers were asked to look at, in order."""
    found: ProbeReport = field(default_factory=lambda: ProbeReport(works=True, codec="h264", frames=25))
    """What they answer to that."""

    def __setitem__(self, name: str, scripts: Sequence[Script]) -> None:
        self.by_name[name] = scripts

    def begin(self, entry: Entry) -> Script:
        """The script of a job that starts now."""
        epochs = self.seen.setdefault(entry.name, [])
        epochs.append(entry.epoch)
        scripts = self.by_name.get(entry.name, [self.usual])
        return scripts[min(len(epochs), len(scripts)) - 1]


class Disturbance(Protocol):
    """What may go wrong between the operator and workers."""

    async def answer(self, worker: SimulatedWorker, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, usually by the handler."""

    def lines(self, worker: SimulatedWorker, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The lines of an event stream as they get through; ConnectionError ends the connection there."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM of a worker's certificate, its key and the authority that it trusts."""

    certificate: bytes
    key: bytes
    authority: bytes

    @classmethod
    def of_secret(cls, data: Mapping[str, bytes]) -> TlsFiles:
        """From the decoded data of a worker's Secret."""
        return cls(data["tls.crt"], data["tls.key"], data["ca.crt"])

    def context(self) -> ssl.SSLContext:
        """The server's side of mutual TLS."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.authority.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
            certificate.write_bytes(self.certificate)
            key.write_bytes(self.key)
            context.load_cert_chain(certificate, key)
        return context


class SimulatedWorker:
    """One worker. `start` before use; everything belongs to the event loop that started it."""

    def __init__(
        self,
        name: str,
        host: str,
        tls: TlsFiles,
        scripts: Scripts | None = None,
        *,
        port: int = WORKER_API_PORT,
        capacity: int = 16,
        steps: Sequence[str] = STEPS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        keeps_sets: bool = True,
        disturbance: Disturbance | None = None,
        archive: SimulatedArchive | None = None,
    ) -> None:
        """`keeps_sets`: whether `sets` and reports are kept; those of a thousand workers would take up the memory."""
        self.name = name
        self.host = host
        self.port = port
        self.capacity = capacity
        self.hint: CapacityHint | None = None
        """What its next process says that it holds."""
        self.scripts = scripts or Scripts()
        self.sets: list[AssignmentSet] = []
        """Every set that came, also refused ones."""
        self.conflicts: list[AssignmentConflict] = []
        self.adapts = True
        """Whether new settings of a running job are applied as they come."""
        self._tls = tls
        self._keeps_sets = keeps_sets
        self._steps = tuple(steps)
        self._heartbeat_seconds = heartbeat_seconds
        self._disturbance = disturbance
        self._archive = archive
        self._process = SimulatedProcess(heartbeat_seconds, archive)
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._runner: web.AppRunner | None = None

    @property
    def instance(self) -> str:
        """The process that runs now."""
        return self._process.instance

    @property
    def assigned(self) -> dict[str, Entry]:
        """What it was given, by name of the job."""
        return {job.entry.name: job.entry for job in self._process.assignments.jobs.values()}

    def job(self, name: str) -> JobReporter:
        """Lets a test speak for a job that was given to it; KeyError for any other."""
        return self._process.jobs[self.assigned[name].uid]

    def spec(self, name: str) -> Job:
        """A job as it was given, with its spec."""
        return self._process.assignments.jobs[self.assigned[name].uid]

    @property
    def listeners(self) -> int:
        """Event streams that are open."""
        return self._process.hub.readers

    async def start(self) -> None:
        """Listen. Port 0 takes a free one."""
        app = web.Application(middlewares=[errors_as_json, self._when_speaking, check_access], client_max_size=2**26)
        app.router.add_get("/v1/info", self._info)
        app.router.add_put("/v1/assignments", self._assign)
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/notes", self._notes)
        app.router.add_post("/v1/probe", self._probe)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls.context(), reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """End as a deleted pod does: nobody listens any more."""
        self._end_process()
        if self._process.finalizing is not None:
            await self._process.finalizing.close()
        self._speaking.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def go_silent(self) -> None:
        """Answer nothing from now on, on old connections and new ones; jobs go on."""
        self._speaking.clear()

    def speak(self) -> None:
        """Answer again."""
        self._speaking.set()

    def crash(self) -> None:
        """The process dies and comes back as another instance: connections end, jobs are forgotten."""
        self._end_process()
        self._process = SimulatedProcess(self._heartbeat_seconds, self._archive)

    def _end_process(self) -> None:
        for task in self._process.tasks.values():
            task.cancel()
        for transport in self._process.streams:
            # Before Python 3.11.4 one that has been closed cannot be aborted.
            if not transport.is_closing():
                transport.abort()

    # The interface

    @web.middleware
    async def _when_speaking(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._speaking.wait()
        if self._disturbance is not None:
            return await self._disturbance.answer(self, request, handler)
        return await handler(request)

    async def _info(self, _: web.Request) -> web.Response:
        process = self._process
        info = WorkerInfo(
            id=self.name,
            instance=process.instance,
            version="simulated",
            term=process.assignments.term,
            models=[ModelInfo(name="simulated", task="detect", digest="0")],
            steps=list(self._steps),
            provider="cpu",
            fallback_reason="it is simulated",
            capacity=self.capacity,
            hint=self.hint,
            isolation={"decodingProcess": True, "seccomp": True, "landlock": False},
        )
        return _json(info.wire())

    async def _assign(self, request: web.Request) -> web.Response:
        wanted = AssignmentSet.model_validate_json(await request.read())
        if self._keeps_sets:
            self.sets.append(wanted)
        process = self._process
        change = apply(process.assignments, wanted)
        if isinstance(change, AssignmentConflict):
            self.conflicts.append(change)
            return _json(change.wire(), status=409)
        process.assignments = change.assignments
        for job in change.stop:
            process.tasks.pop(job.uid).cancel()
            del process.jobs[job.uid]
        for job in change.start:
            self._begin(process, job)
        for job in change.adapt:
            if self.adapts:
                process.jobs[job.uid].applied(job.entry.settings)
        if process.finalizing is not None:
            process.finalizing.follow(wanted.fleet, wanted.finalize)
        return _json(AssignmentAnswer(need=list(change.need)).wire())

    async def _notes(self, request: web.Request) -> web.Response:
        finalizing = self._process.finalizing
        notes = Notes() if finalizing is None else await finalizing.notes(request.query["fleet"])
        return _json(notes.wire())

    async def _probe(self, request: web.Request) -> web.Response:
        self.scripts.probed.append(ProbeRequest.model_validate_json(await request.read()))
        return _json(self.scripts.found.wire())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        process = self._process
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        if request.transport is not None:
            process.streams.add(request.transport)
        told = process.hub.lines(_after(request))
        if self._disturbance is not None:
            told = self._disturbance.lines(self, told)
        try:
            async with aclosing(told) as lines:
                async for line in lines:
                    await self._speaking.wait()
                    await response.write(line)
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                request.transport.abort()
        return response

    # Jobs

    def _begin(self, process: SimulatedProcess, job: Job) -> None:
        if self._archive is not None:
            self._archive.begin(job, process.instance)

        def publish(report: JobReport) -> None:
            if process.jobs.get(job.uid) is reporter:
                if self._keeps_sets:
                    self.scripts.reports.append(report)
                process.hub.publish(report)

        reporter = JobReporter(job.uid, job.epoch, publish)
        process.jobs[job.uid] = reporter
        reporter.applied(job.entry.settings)
        reporter.preparing()
        process.tasks[job.uid] = asyncio.create_task(self._play(self.scripts.begin(job.entry), reporter))

    async def _play(self, script: Script, reporter: JobReporter) -> None:
        for step in script:
            await asyncio.sleep(step.after)
            step.do(self, reporter)


def _after(request: web.Request) -> tuple[str, int] | None:
    instance, _, sequence = request.query.get("after", "").rpartition(":")
    return (instance, int(sequence)) if instance else None


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
