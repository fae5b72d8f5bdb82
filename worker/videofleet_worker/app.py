"""The worker process: its parts put together, started and stopped in order."""

import asyncio
import logging
import math
import os
import secrets as randomness
import signal
import ssl
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Final

from aiohttp import web

from videofleet_api.reach import cluster_addresses
from videofleet_archive.errors import ArchiveError
from videofleet_archive.location import Location
from videofleet_archive.store import Archive
from videofleet_archive.sweeping import sweep_all
from videofleet_archive.threads import StoreThreads
from videofleet_worker.config import Settings
from videofleet_worker.device.health import DeviceHealth, DeviceLostError
from videofleet_worker.inference import Inference, start_inference
from videofleet_worker.info import describe, isolation
from videofleet_worker.logs import ARCHIVE, Secrets
from videofleet_worker.memory import DecoderMemory, container_memory, decoder_memory, keep_giving_back
from videofleet_worker.metrics import Measured, WorkerCollector, process_registry
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.run import StreamRun
from videofleet_worker.pipeline.tools import Tools
from videofleet_worker.pipeline.untold import UntoldRuns
from videofleet_worker.probing import Prober
from videofleet_worker.server.api import api_app
from videofleet_worker.server.plain import plain_app
from videofleet_worker.server.readiness import Readiness
from videofleet_worker.server.tls import ReloadingTls
from videofleet_worker.sources.clock import SystemClock
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.reach import Reach
from videofleet_worker.supervisor import Supervisor
from videofleet_worker.vision import Looker

_LOGGER: Final = logging.getLogger(__name__)
# A stream waits for the archive with its log, the upkeep of that, its best shots and its snapshot. Where a store is
# slow, none of them is to wait for those of other streams; threads that nobody needs are not started.
_ARCHIVE_THREADS: Final = 8
_ARCHIVE_THREADS_A_STREAM: Final = 4
_MOST_ARCHIVE_THREADS: Final = 256
_PICTURE_THREADS: Final = 2
# How often a worker looks whether it is its turn.
_SWEEP_SECONDS: Final = 600.0
_STAGING_SECONDS: Final = 3600.0
# Of the grace period, kept for what comes after the streams.
_LAST_SECONDS: Final = 3.0
# How long streams may take to fail on a GPU that is lost; one whose camera is silent never would.
_LOST_SECONDS: Final = 10.0


async def run_worker(settings: Settings, secrets: Secrets) -> None:
    """From start to SIGTERM. Where it cannot start it raises TlsFilesError, ModelFolderError, ModelDoesNotRunError
    or ArchiveError; where its GPU is lost while it runs, DeviceLostError."""
    stop = _stop_signal()
    tls = ReloadingTls(settings.tls_dir)
    archive = _archive(settings, secrets)
    readiness = Readiness()
    supervisor: Supervisor | None = None
    registry = process_registry()
    async with AsyncExitStack() as stack:
        # The probes answer while models are loaded, which on a GPU can take minutes.
        plain = plain_app(readiness.checks, registry, lambda: len(supervisor.running()) if supervisor else 0)
        plain_port = await stack.enter_async_context(_listening(plain, settings.listen, settings.plain_port))
        # No result may go to an archive in which two workers could write over each other's.
        if not await _or_stopped(readiness.archive_verified(archive.probe), stop):
            return
        watch = asyncio.create_task(readiness.watch_archive(archive.probe, archive.probe_seconds))
        stack.callback(watch.cancel)
        stack.callback(asyncio.create_task(keep_giving_back()).cancel)
        health = DeviceHealth()
        inference = await start_inference(settings, health.note)
        stack.push_async_callback(inference.close)
        ways = WaysOut(settings.output_policy, cluster_addresses(os.environ))
        stack.push_async_callback(ways.close)
        memory = decoder_memory(container_memory(), settings.capacity)
        supervisor, tools = _supervisor(settings, archive, inference, secrets, ways, memory, health, stack)
        stack.callback(asyncio.create_task(_sweeps(tools.archive)).cancel)
        looker = Looker(tools, secrets, lambda: settings.capacity - supervisor.at_work)
        registry.register(WorkerCollector(Measured(supervisor, inference, settings.capacity, tools.leftovers)))
        app = api_app(
            supervisor,
            lambda: describe(settings, inference, supervisor.assignments, memory),
            Prober(tools, secrets),
            looker,
        )
        api_port = await stack.enter_async_context(_listening(app, settings.listen, settings.api_port, tls.context))
        readiness.set("models", None)
        _log_start(settings, inference, memory, {"api_port": api_port, "plain_port": plain_port})
        lost = await _stopped_or_lost(stop, health)
        readiness.set("stopping", lost or "the worker was told to stop")
        if lost:
            _LOGGER.error("the worker ends, another process takes its place: %s", lost)
            # Each stream fails by itself, with what the GPU said, and goes elsewhere.
            await supervisor.run_dry(_LOST_SECONDS)
        # Readers stay connected until the last results are sealed.
        await supervisor.close(max(1.0, settings.grace_seconds - _LAST_SECONDS))
    _LOGGER.info("stopped")
    if lost:
        raise DeviceLostError(lost)


async def _stopped_or_lost(stop: asyncio.Event, health: DeviceHealth) -> str | None:
    """Wait until the worker is to end; by what the GPU was lost, None where it was told to."""
    told, lost = asyncio.create_task(stop.wait()), asyncio.create_task(health.lost())
    try:
        await asyncio.wait({told, lost}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        lost.cancel()
    return None if stop.is_set() else health.reason


def _archive(settings: Settings, secrets: Secrets) -> Archive:
    """The archive, rid of what killed workers left there."""
    where = Location(
        settings.archive,
        endpoint=settings.archive_endpoint,
        region=settings.archive_region,
        credentials=settings.archive_credentials,
        learnt=lambda words: secrets.remember(ARCHIVE, words),
    )
    archive = where.open()
    archive.clean(time.time() - _STAGING_SECONDS)
    return archive


async def _sweeps(archive: StoreThreads) -> None:
    """Look after what nobody writes any more, when it is this worker's turn."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            if (swept := await sweep_all(archive, time.time())) is not None:
                _LOGGER.info("looked after the archive", extra=asdict(swept))
        except ArchiveError as error:
            _LOGGER.warning("the archive is not looked after: %s", error)


async def _or_stopped(step: Coroutine[None, None, None], stop: asyncio.Event) -> bool:
    """Whether the step came to its end before the worker was told to stop. Raises as the step does."""
    task, told = asyncio.create_task(step), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()
        told.cancel()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def _supervisor(
    settings: Settings,
    archive: Archive,
    inference: Inference,
    secrets: Secrets,
    ways: WaysOut,
    memory: DecoderMemory,
    health: DeviceHealth,
    stack: AsyncExitStack,
) -> tuple[Supervisor, Tools]:
    instance = randomness.token_hex(8)
    waiting = min(_ARCHIVE_THREADS + _ARCHIVE_THREADS_A_STREAM * settings.capacity, _MOST_ARCHIVE_THREADS)
    store_threads = stack.enter_context(ThreadPoolExecutor(waiting, "archive"))
    tending = math.ceil(settings.capacity / archive.logs_a_thread)
    upkeep_threads = stack.enter_context(ThreadPoolExecutor(tending, "upkeep"))
    picture_threads = stack.enter_context(ThreadPoolExecutor(_PICTURE_THREADS, "pictures"))
    leftovers = Leftovers(secrets)
    stack.push_async_callback(leftovers.close)
    threads = StoreThreads(archive, store_threads, upkeep_threads)
    tools = Tools(
        registry=inference.registry,
        engines=inference.engines,
        archive=threads,
        picture_threads=picture_threads,
        clock=SystemClock(),
        wall_clock=time.time,
        owner=instance,
        decoder_memory=memory,
        media=settings.media,
        dialer=Dialer(Reach(settings.source_policy, cluster_addresses(os.environ))),
        attended=lambda: supervisor.hub.operators > 0,
        ways=ways,
        leftovers=leftovers,
        station=inference.station,
        ends=lambda: health.reason is not None,
    )
    supervisor = Supervisor(
        instance,
        lambda job, reporter: StreamRun(job, tools, reporter),
        secrets,
        threads,
        UntoldRuns(threads, ways, leftovers),
    )
    return supervisor, tools


@asynccontextmanager
async def _listening(
    app: web.Application, host: str | None, port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve the application; the port that it really has."""
    # Streams of events have no end: at the end they are cut after a moment.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _log_start(settings: Settings, inference: Inference, memory: DecoderMemory, ports: dict[str, int]) -> None:
    provider = inference.provider
    if provider.fallback_reason:
        _LOGGER.warning("not on the execution provider that was asked for: %s", provider.fallback_reason)
    confining = isolation()
    if not confining["seccomp"]:
        _LOGGER.warning("this kernel does not confine decoders (seccomp with user notification): no source is opened")
    fields: dict[str, object] = {
        "worker": settings.worker_id,
        "provider": provider.name,
        "models": list(inference.registry),
        "capacity": settings.capacity,
        "holds": inference.hint.message if inference.hint else None,
        "isolation": sorted(name for name, there in confining.items() if there),
        "decoder_memory_mib": (memory.own + memory.frames) // 2**20,
    }
    _LOGGER.info("ready", extra=fields | ports)
