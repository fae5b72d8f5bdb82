"""Rows of the archive: what a camera writes in a day, and what of a file is lost or told twice when workers die."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.bench.control.rows import Row
from tests.bench.data.heard import frames_of
from tests.bench.data.plant import Plant, camera_job, running
from tests.bench.data.setup import Setup
from tests.support.cameras import CLIP, CameraSimulator
from tests.support.worker_client import file_job
from videofleet_api.protocol import JobState

DAY = 86_400
SETTLE_SECONDS = 5.0
KILLS = 5
FRAMES_A_KILL = 30
RATES = (1.0, 5.0)


def archive_rows(setup: Setup) -> list[Row]:
    """One pass of each."""
    return [*asyncio.run(_day(setup)), *asyncio.run(_kills(setup))]


async def _day(setup: Setup) -> list[Row]:
    rows = []
    with CameraSimulator(["--cameras", "1"]) as cameras:
        async with running(setup.folder / "day") as plant:
            for rate in RATES:
                rows += await _a_day_of(plant, cameras.rtsp("/cam1"), rate, setup.seconds)
    return rows


async def _a_day_of(plant: Plant, url: str, rate: float, seconds: float) -> list[Row]:
    uid = f"day-{rate:g}"
    await plant.client.assign(camera_job(url, uid, rate))
    await plant.client.until(uid, {JobState.RUNNING})
    await asyncio.sleep(SETTLE_SECONDS)
    before, began = plant.stored(), time.monotonic()
    await asyncio.sleep(seconds)
    day = a_day(before, plant.stored(), time.monotonic() - began)
    size = day.pop("bytes")
    calls = ", ".join(f"{count:.0f} {name}" for name, count in day.items() if count)
    about = f"counted over {seconds:g} s: {calls}; people walk by all the time"
    what = f"a camera-day, {rate:g} frames a second analysed"
    return [
        Row(f"{what}: requests to an object store", "", [sum(day.values())], unit="requests", remark=about),
        Row(f"{what}: bytes written", "", [size / 1e6], unit="MB"),
    ]


def a_day(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """What counters that grew over so long grow in a day."""
    return {name: (count - before[name]) * DAY / seconds for name, count in after.items()}


async def _kills(setup: Setup) -> list[Row]:
    """A file, on one worker after another, each of which is killed."""
    folder, uid, frames = setup.folder / "kills", "killed", (KILLS + 1) * FRAMES_A_KILL
    for epoch in range(1, KILLS + 1):
        async with running(folder, media=str(CLIP.parent)) as plant:
            await plant.client.assign(file_job(f"file://{CLIP}", uid, epoch=epoch, maxFrames=frames))
            await _until_told(plant, uid, epoch * FRAMES_A_KILL)
            plant.worker.kill()
    async with running(folder, media=str(CLIP.parent)) as plant:
        await plant.client.assign(file_job(f"file://{CLIP}", uid, epoch=KILLS + 1, maxFrames=frames))
        await plant.client.until(uid, {JobState.ENDED}, seconds=300)
        lost, doubled = lost_and_doubled(frames_of(await plant.client.log(uid, "?offset=oldest")), frames)
    about = f"{KILLS} kills of the worker over {frames} frames of a file"
    return [
        Row("worker killed: results lost a kill", "", [lost / KILLS], (), 0, "frames", remark=about),
        Row("worker killed: results told twice a kill", "", [doubled / KILLS], (), 0, "frames", remark=about),
    ]


def lost_and_doubled(found: Sequence[int], frames: int) -> tuple[int, int]:
    """Of so many frames from the first one on, how many are not in a log, and how often one is there again."""
    told = Counter(found)
    return len(set(range(frames)) - set(told)), sum(count - 1 for count in told.values())


async def _until_told(plant: Plant, uid: str, frame: int) -> None:
    """Until a frame with that number or a higher one is sealed."""
    await plant.client.until(uid, {JobState.RUNNING})
    data = b""
    async for part in plant.client.chunks(uid, "?offset=oldest"):
        data += part
        if max(frames_of(data.rpartition(b"\n\n")[0]), default=0) >= frame:
            return
