"""Rows of overload: cameras that give twice what the worker can do, and a file beside them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.bench.control.rows import Row, percentile
from tests.bench.data.files import run_job
from tests.bench.data.heard import Reader, Told, frames_of, listen
from tests.bench.data.plant import Plant, camera_job, crowding, running
from tests.bench.data.setup import Setup
from tests.support.cameras import CLIP, CameraSimulator
from tests.support.worker_client import file_job
from videofleet_api.protocol import Entry, JobState

CAMERAS = 8
OVERLOAD = 2.0
SETTLE_SECONDS = 5.0
CAPACITY_FRAMES = 200
RECORDED_FRAMES = 100
"""Of a file that is analysed beside the cameras, again and again."""
NOT_OFFERED = "sampling"

Counts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Fates:
    """What became of the frames of some streams: those that came, were left out by sampling, were served, and were
    dropped, by cause."""

    came: float
    left_out: float
    served: dict[str, float]
    dropped: dict[str, float]

    @classmethod
    def between(cls, before: Counts, after: Counts, uids: Sequence[str]) -> Fates:
        """From the counters of a worker at two times."""

        def grown(name: str) -> dict[str, float]:
            first, last = before.get(name, {}), after.get(name, {})
            return {uid: last.get(uid, 0.0) - first.get(uid, 0.0) for uid in uids}

        causes = [name.removeprefix("dropped:") for name in after if name.startswith("dropped:")]
        dropped = {cause: sum(grown(f"dropped:{cause}").values()) for cause in causes}
        left_out = dropped.pop(NOT_OFFERED, 0.0)
        came = sum(sum(grown(name).values()) for name in ("frames_decoded", "frames_passed"))
        return cls(came, left_out, grown("frames_processed"), {name: count for name, count in dropped.items() if count})

    @property
    def offered(self) -> float:
        """Frames that sampling let through."""
        return self.came - self.left_out

    @property
    def unaccounted(self) -> float:
        """The share of these that was neither served nor counted as dropped."""
        return abs(self.offered - sum(self.served.values()) - sum(self.dropped.values())) / self.offered

    @property
    def least_share(self) -> float:
        """What the stream got that got least, as a share of what each would get if all got as much."""
        return min(self.served.values()) / statistics.fmean(self.served.values())


@dataclass
class Recorded:
    """The file beside the cameras."""

    served: float = 0.0
    lost: float = 0.0
    """Frames that are not in its log, or counted as dropped."""
    runs: int = 0


def overload_rows(setup: Setup) -> list[Row]:
    """One pass of so many seconds as the set-up says."""
    return asyncio.run(_measured(setup))


async def _measured(setup: Setup) -> list[Row]:
    async with AsyncExitStack() as stack:
        cameras = stack.enter_context(CameraSimulator(["--cameras", str(CAMERAS)]))
        plant = await stack.enter_async_context(running(setup.folder / "overload", media=str(CLIP.parent)))
        able = [(await run_job(plant, "able-before", CAPACITY_FRAMES))[0].rate]
        rate = OVERLOAD * able[0] / CAMERAS
        urls = [cameras.rtsp(f"/cam{n + 1}") for n in range(CAMERAS)]
        jobs = [camera_job(url, f"over-{n}", rate, archiveEnabled=False) for n, url in enumerate(urls)]
        await plant.client.assign(*jobs)
        for job in jobs:
            await plant.client.until(job.uid, {JobState.RUNNING}, seconds=300)
        await asyncio.sleep(SETTLE_SECONDS)
        before = plant.crowding()
        recorded, told, fates, passed = await _overloaded(plant, jobs, setup.overload_seconds)
        crowded = crowding(before, plant.crowding())
        await plant.client.assign()
        able.append((await run_job(plant, "able-after", CAPACITY_FRAMES))[0].rate)
    served = (sum(fates.served.values()) + recorded.served) / passed
    about = f"{passed:.0f} s, {CAMERAS} cameras with {rate:.1f} frames a second each, and a file; {crowded}"
    return _rows(fates, recorded, [one.age for one in told], served, able, about)


def _rows(
    fates: Fates, recorded: Recorded, ages: Sequence[float], served: float, able: Sequence[float], about: str
) -> list[Row]:
    what = "200 % overload"
    period = CAMERAS / (OVERLOAD * able[0])
    newest = f"a camera's newest frame is up to {period:.2f} s old when its turn comes"
    late = f"{newest}; median {percentile(ages, 0.5):.2f} s, 99th percentile {percentile(ages, 0.99):.2f} s"
    causes = ", ".join(f"{count:.0f} {cause}" for cause, count in sorted(fates.dropped.items()))
    told = f"{about}; offered {fates.offered:.0f}, served {sum(fates.served.values()):.0f}, dropped {causes or 0}"
    beside = f"{recorded.served:.0f} of its frames served, in {recorded.runs} runs"
    alone = "a file alone, before and after"
    return [
        Row(f"{what}: oldest served frame when it is told", "", [max(ages)], (), 0.5, remark=f"{about}; {late}"),
        Row(f"{what}: frames served a second", alone, [served], able, 0.9, "1/s", True, about),
        Row(f"{what}: least-served stream, of its share", "", [fates.least_share], (), 0.8, "", True),
        Row(f"{what}: neither served nor dropped, of offered", "", [fates.unaccounted], (), 0.01, "", remark=told),
        Row(f"{what}: frames lost of a file beside", "", [recorded.lost], (), 0, "frames", remark=beside),
    ]


async def _overloaded(plant: Plant, jobs: Sequence[Entry], seconds: float) -> tuple[Recorded, list[Told], Fates, float]:
    uids, readers = [job.uid for job in jobs], [Reader(plant, job.uid) for job in jobs]
    before, began = await asyncio.to_thread(plant.counts), time.monotonic()
    recorded = Recorded()
    beside = asyncio.create_task(_record(plant, jobs, recorded, began + seconds))
    await listen(readers, seconds)
    after, passed = await asyncio.to_thread(plant.counts), time.monotonic() - began
    await beside
    return recorded, [told for one in readers for told in one.told], Fates.between(before, after, uids), passed


async def _record(plant: Plant, jobs: Sequence[Entry], recorded: Recorded, until: float) -> None:
    """Analyse a file again and again beside the jobs. Of the run that is not through at the end only drops count."""
    while time.monotonic() < until:
        uid = f"recorded-{recorded.runs}"
        recorded.runs += 1
        await plant.client.assign(*jobs, file_job(f"file://{CLIP}", uid, maxFrames=RECORDED_FRAMES))
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await plant.client.until(uid, {JobState.ENDED}, seconds=600)
        except TimeoutError:
            counts = await asyncio.to_thread(plant.counts)
            recorded.served += counts["frames_processed"].get(uid, 0.0)
            recorded.lost += _dropped(counts, uid)
            return
        counts = await asyncio.to_thread(plant.counts)
        found = frames_of(await plant.client.log(uid, "?offset=oldest"))
        recorded.served += len(found)
        recorded.lost += _dropped(counts, uid) + len(set(range(RECORDED_FRAMES)) - set(found))


def _dropped(counts: Counts, uid: str) -> float:
    return sum(jobs.get(uid, 0.0) for name, jobs in counts.items() if name.startswith("dropped:"))
