"""A worker's parts put together for one job on this machine, from its start to its end."""

import asyncio
import secrets as randomness
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import JobReport
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads
from videofleet_clip.video import Video
from videofleet_worker.config import Settings
from videofleet_worker.inference import start_inference
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.logs import Secrets
from videofleet_worker.memory import container_memory, decoder_memory
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.onlooker import Onlooker
from videofleet_worker.pipeline.plan import Plan
from videofleet_worker.pipeline.run import StreamRun
from videofleet_worker.pipeline.tools import Tools
from videofleet_worker.sources.clock import SystemClock
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.reach import Reach

Device = Literal["auto", "tensorrt", "cuda", "cpu"]
_STORE_THREADS: Final = 4
_PICTURE_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a job runs: the archive's folder, models besides the built-in ones, and the device."""

    archive: Path
    models: tuple[Path, ...] = ()
    device: Device = "auto"
    scratch: Path = Path("/tmp")


@dataclass(frozen=True, slots=True)
class Started:
    """A run that is about to begin, and what runs its models."""

    run: StreamRun
    provider: str


class Session:
    """Runs one job. `plan`: what it meant, once it has run; `interrupted`: it was told to stop before its end."""

    def __init__(self, job: Job, video: Video, setting: Setting) -> None:
        self.job = job
        self.plan: Plan | None = None
        self.interrupted = False
        self._stopping: asyncio.Task[None] | None = None
        self._video = video
        self._setting = setting

    async def run(
        self, onlooker: Onlooker, on_start: Callable[[Started], None], on_report: Callable[[JobReport], None]
    ) -> JobReport:
        """To the end of the source; how it ended. SIGINT or SIGTERM ends it early, a second one at once.

        Raises ModelFolderError, ModelDoesNotRunError and ArchiveError where it cannot start, asyncio.CancelledError
        after a second signal, and what `onlooker` raises.
        """
        async with AsyncExitStack() as stack:
            tools, provider = await stack.enter_async_context(self._tools(onlooker))
            reporter = JobReporter(self.job.uid, self.job.epoch, on_report)
            run = StreamRun(self.job, tools, reporter)
            on_start(Started(run, provider))
            running = asyncio.create_task(run.run(), name="clip")
            stack.enter_context(_signals(lambda: self._stop(run, running)))
            await running
            self.plan = run.plan
        return reporter.report

    def _stop(self, run: StreamRun, running: asyncio.Task[None]) -> None:
        if self.interrupted:
            running.cancel()
        else:
            self.interrupted = True
            self._stopping = asyncio.create_task(run.stop(), name="stop")

    @asynccontextmanager
    async def _tools(self, onlooker: Onlooker) -> AsyncIterator[tuple[Tools, str]]:
        setting = self._setting
        settings = Settings(
            worker_id="local", execution_provider=setting.device, models=setting.models, scratch=setting.scratch
        )
        archive = FolderArchive(setting.archive)
        async with AsyncExitStack() as stack:
            # A device that is lost ends the run with an error of its own; there is no other stream to save.
            inference = await start_inference(settings, lambda error: None)
            stack.push_async_callback(inference.close)
            ways = WaysOut(OutputPolicy())
            stack.push_async_callback(ways.close)
            store_threads = stack.enter_context(ThreadPoolExecutor(_STORE_THREADS, "archive"))
            yield (
                Tools(
                    registry=inference.registry,
                    engines=inference.engines,
                    archive=StoreThreads(archive, store_threads),
                    picture_threads=stack.enter_context(ThreadPoolExecutor(_PICTURE_THREADS, "pictures")),
                    clock=SystemClock(),
                    wall_clock=time.time,
                    owner=randomness.token_hex(8),
                    decoder_memory=decoder_memory(container_memory(), 1),
                    dialer=Dialer(Reach(self._video.policy)),
                    media=self._video.roots,
                    attended=lambda: True,
                    ways=ways,
                    leftovers=Leftovers(Secrets()),
                    station=inference.station,
                    onlooker=onlooker,
                ),
                inference.provider.name,
            )


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called at each SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
