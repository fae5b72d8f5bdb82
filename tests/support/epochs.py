"""Epochs of one analytics over a source that two workers see alike, without a decoder and without a model."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tests.support.archives import PREFIX, CountedCalls, stored_log
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import JobSpec
from videofleet_archive.opening import see_log
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import SealPolicy
from videofleet_worker.decode.frame import Frame, FrameHeader
from videofleet_worker.decode.ring import SlotViews
from videofleet_worker.models.detections import Detections
from videofleet_worker.models.registry import ModelRegistry
from videofleet_worker.outputs.documents import Origin
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.analytics import AnalyticsRun
from videofleet_worker.pipeline.continuation import Counts
from videofleet_worker.pipeline.findings import Findings
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame
from videofleet_worker.pipeline.plan import AnalyticsPlan, make_plan
from videofleet_worker.pipeline.shots import Shots
from videofleet_worker.pipeline.storage import ShotsKept
from videofleet_worker.pipeline.telling import Telling
from videofleet_worker.sources.clock import SystemClock
from videofleet_worker.sources.events import SourceInfo

CAMERA = SourceInfo(live=True, fps=10.0, width=64, height=48, codec="h264", total_frames=None)
FILE = SourceInfo(live=False, fps=10.0, width=64, height=48, codec="h264", total_frames=100)
_NOWHERE = WaysOut(OutputPolicy())
BEGAN = 1_700_000_000.0
SEALS_AT_THE_END = SealPolicy(seconds=3600.0)
PERSON = Findings(Detections(np.array([[0.1, 0.1, 0.4, 0.9]], np.float32), np.array([0.9], np.float32), np.array([0])))


def _plan() -> AnalyticsPlan:
    steps = [{"model": "detect"}, {"model": "track"}]
    corners = [{"x": 0, "y": 0.5}, {"x": 1, "y": 0.5}, {"x": 1, "y": 1}, {"x": 0, "y": 1}]
    document = {
        "source": {"url": "rtsp://host/a"},
        "analytics": [{"name": "main", "steps": steps}],
        "zones": [{"name": "below", "polygon": corners}],
    }
    return make_plan(JobSpec.model_validate(document), ModelRegistry.load()).analytics[0]


class Epoch:
    """One epoch over a source that two workers see alike: its frame n was captured n tenths of a second after the
    beginning, whoever decodes it. A live source counts its frames anew in each epoch."""

    def __init__(self, number: int, source: SourceInfo, run: AnalyticsRun) -> None:
        self.number = number
        self.run = run
        self._counters = CountedCalls()
        self._source = source
        self._first: int | None = None

    @property
    def lost(self) -> int:
        """Frames whose results were discarded."""
        return self._counters.losses

    async def own(self) -> None:
        """The log is this epoch's."""
        assert (
            await self.run.own(self.number, f"worker-{self.number}", self._counters, beside=self._first is not None)
            is None
        )

    async def frames(self, frames: range) -> None:
        """These frames come out of the model, each with a person in it."""
        for frame in frames:
            self._first = frame if self._first is None else self._first
            index = frame - self._first if self._source.live else frame
            chroma = np.full((24, 32), 128, np.uint8)
            views = SlotViews(np.zeros((48, 64), np.uint8), chroma, chroma, np.zeros((3, 1, 1), np.uint8))
            header = FrameHeader(index, index / 10, BEGAN + frame / 10, 64, 48, True, True)
            shared = SharedFrame(Frame(header, views, lambda: None))
            await self.run.add(shared, PERSON, Counts(index + 1, 0, 100 * index))
            shared.release()


class Stage:
    """A log, and the epochs that write it."""

    def __init__(self, threads: StoreThreads, executor: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._executor = executor

    async def epoch(self, number: int, source: SourceInfo, policy: SealPolicy = SEALS_AT_THE_END) -> Epoch:
        """One that has opened its source, and does not own the log yet."""
        pictures = Pictures(self._threads, f"{PREFIX}/snapshot.jpg", self._executor, SystemClock())
        shots = Shots(self._threads, PREFIX, self._executor)
        telling = Telling(Origin("job-1", "default", "job", 1, number, "main"), JobOutlets(_NOWHERE), time.time)
        run = AnalyticsRun(_plan(), "run-1", await see_log(self._threads, PREFIX), pictures, shots, telling)
        run.opened(source, policy, ShotsKept(None))
        return Epoch(number, source, run)

    def chunks(self) -> list[dict[str, Any]]:
        """What is in the log."""
        return chunks_of(stored_log(self._threads.store))

    def told(self) -> list[int]:
        """Which frames are in the log, by their time of capture."""
        infos = [one["stream_info"] for one in self.chunks()]
        return [round(10 * (info["capture_time"] - BEGAN)) for info in infos]
