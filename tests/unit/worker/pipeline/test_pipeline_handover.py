"""Results of an epoch that takes over from another worker: kept back until the log is its own, none told twice."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.archives import PREFIX, CountedCalls, stored_log, threads_over
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import JobSpec
from videofleet_archive.errors import FencedError
from videofleet_archive.opening import see_log
from videofleet_archive.store import FolderArchive
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
from videofleet_worker.pipeline.outlets import JobOutlets, Telling
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame
from videofleet_worker.pipeline.plan import AnalyticsPlan, make_plan
from videofleet_worker.pipeline.shots import Shots
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


class _Epoch:
    """One epoch over a source that two workers see alike: its frame n was captured n tenths of a second after the
    beginning, whoever decodes it. A live source counts its frames anew in each epoch."""

    def __init__(self, number: int, source: SourceInfo, run: AnalyticsRun) -> None:
        self.number = number
        self.run = run
        self._source = source
        self._first: int | None = None

    async def own(self) -> None:
        assert await self.run.own(self.number, f"worker-{self.number}", CountedCalls()) is None

    async def frames(self, frames: range) -> None:
        for frame in frames:
            self._first = frame if self._first is None else self._first
            index = frame - self._first if self._source.live else frame
            chroma = np.full((24, 32), 128, np.uint8)
            views = SlotViews(np.zeros((48, 64), np.uint8), chroma, chroma, np.zeros((3, 1, 1), np.uint8))
            header = FrameHeader(index, index / 10, BEGAN + frame / 10, 64, 48, True, True)
            shared = SharedFrame(Frame(header, views, lambda: None))
            await self.run.add(shared, PERSON, Counts(index + 1, 0, 100 * index))
            shared.release()


class _Stage:
    def __init__(self, threads: StoreThreads, executor: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._executor = executor

    async def epoch(self, number: int, source: SourceInfo) -> _Epoch:
        pictures = Pictures(self._threads, f"{PREFIX}/snapshot.jpg", self._executor, SystemClock())
        shots = Shots(self._threads, PREFIX, self._executor)
        telling = Telling(Origin("job-1", "default", "job", 1, number, "main"), JobOutlets(_NOWHERE), shots.read)
        run = AnalyticsRun(_plan(), "run-1", await see_log(self._threads, PREFIX), pictures, shots, telling)
        run.opened(source, SEALS_AT_THE_END, None)
        return _Epoch(number, source, run)

    def chunks(self) -> list[dict[str, Any]]:
        """What is in the log."""
        return chunks_of(stored_log(self._threads.store))

    def told(self) -> list[int]:
        """Which frames are in the log, by their time of capture."""
        infos = [one["stream_info"] for one in self.chunks()]
        return [round(10 * (info["capture_time"] - BEGAN)) for info in infos]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[_Stage]:
    with ThreadPoolExecutor(1) as executor:
        async with threads_over(FolderArchive(tmp_path / "archive")) as threads:
            yield _Stage(threads, executor)


async def test_what_the_former_worker_had_not_sealed_is_among_what_was_kept_back(stage: _Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    await former.frames(range(30))
    await former.run.close()
    second = await stage.epoch(2, CAMERA)
    await second.own()
    await second.frames(range(30, 40))
    third = await stage.epoch(3, CAMERA)
    await third.frames(range(25, 45))
    await third.own()
    await third.frames(range(45, 50))
    with pytest.raises(FencedError):
        await second.run.close()
    await third.run.close()
    # The second one had sealed nothing: its frames from 30 on are told by the third.
    assert stage.told() == list(range(50))


async def test_ids_numbers_and_times_go_on(stage: _Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    await former.frames(range(10))
    await former.run.close()
    taker = await stage.epoch(2, CAMERA)
    await taker.frames(range(5, 15))
    await taker.own()
    await taker.run.close()
    chunks = stage.chunks()
    infos = [one["stream_info"] for one in chunks]
    for field in ("frame_index", "pts", "capture_time", "decoded_frames"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field
    assert len({info["frame_index"] for info in infos}) == len(infos)
    ids = [
        {one["track_id"] for one in chunk["delta"]["results"][0]["targets"] if "track_id" in one} for chunk in chunks
    ]
    assert max(set().union(*ids[:10])) < min(set().union(*ids[10:]))


@pytest.mark.parametrize("source", [CAMERA, FILE], ids=["camera", "file"])
async def test_who_stands_in_a_zone_is_counted_once_over_all_epochs(stage: _Stage, source: SourceInfo) -> None:
    for number in (1, 2, 3):
        epoch = await stage.epoch(number, source)
        await epoch.frames(range(10 * number - 10, 10 * number - 5))
        await epoch.own()
        await epoch.frames(range(10 * number - 5, 10 * number))
        await epoch.run.close()
    zones = [chunk["delta"]["results"][0]["zones"][0] for chunk in stage.chunks()]
    assert len(zones) == 30
    assert {tuple(zone["entered"].items()) for zone in zones} == {(("person", 1),)}
    assert {tuple(zone["left"].items()) for zone in zones} == {()}


async def test_until_then_the_former_worker_writes_on_and_nothing_is_written_here(stage: _Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    taker = await stage.epoch(2, CAMERA)
    await taker.frames(range(5))
    await former.frames(range(5))
    await former.run.close()
    await taker.run.close()
    assert stage.told() == list(range(5))


async def test_a_file_is_told_once_where_both_have_analysed_it(stage: _Stage) -> None:
    former = await stage.epoch(1, FILE)
    await former.own()
    await former.frames(range(10))
    taker = await stage.epoch(2, FILE)
    await former.run.close()
    await taker.own()
    await taker.frames(range(20))
    await taker.run.close()
    assert stage.told() == list(range(20))


async def test_a_run_that_was_finished_meanwhile_is_over(stage: _Stage) -> None:
    former = await stage.epoch(1, FILE)
    await former.own()
    await former.frames(range(3))
    taker = await stage.epoch(2, FILE)
    await former.run.finish("stop", Counts(3, 0, 300))
    ending = await taker.run.own(2, "worker-2", CountedCalls())
    assert ending is not None
    assert (ending.reason, ending.usage.processed_frames) == ("stop", 3)
    await taker.run.close()
