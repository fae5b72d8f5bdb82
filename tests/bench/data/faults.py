"""Rows of losses: cameras that are lost again and again, and a decoder that is killed beside seven others."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any

from tests.bench.control.rows import Row
from tests.bench.data.identities import Identities
from tests.bench.data.plant import Plant, camera_job, running
from tests.bench.data.processes import family
from tests.bench.data.setup import Setup
from tests.bench.data.soak import GONE_SECONDS, note
from tests.support.cameras import CameraSimulator
from videofleet_api.protocol import JobState

STREAMS = 8
RATE = 1.0
LOST_SECONDS = 3.0
UIDS = [f"faults-{one}" for one in range(1, STREAMS + 1)]


def fault_rows(setup: Setup) -> list[Row]:
    """Eight cameras on one worker, a frame a second of each."""
    return asyncio.run(_measured(setup))


async def _measured(setup: Setup) -> list[Row]:
    async with AsyncExitStack() as stack:
        cameras = stack.enter_context(CameraSimulator(["--cameras", str(STREAMS)]))
        plant = await stack.enter_async_context(running(setup.folder / "faults"))
        began = time.monotonic()
        await plant.client.assign(*(_job(cameras, number) for number in range(STREAMS)))
        first = []
        for uid in UIDS:
            await plant.client.until(uid, {JobState.RUNNING})
            first.append(time.monotonic() - began)
        told = Row("camera: assigned to first frame, 8 at once", "", first[-1:], unit="s")
        return [told, *await _reconnects(plant, cameras, setup), *await _one_killed(plant, setup.seconds)]


def _job(cameras: CameraSimulator, number: int) -> Any:
    return camera_job(
        cameras.rtsp(f"/cam{number + 1}"), UIDS[number], RATE, least=0.2, track={"lostSeconds": LOST_SECONDS}
    )


async def _one_killed(plant: Plant, seconds: float) -> list[Row]:
    """Kill the decoder of a stream; what becomes of the others. Its own job fails, and is the operator's to restart."""
    before = await _rates(plant, seconds)
    # The worker and its fork server were there first.
    os.kill(max(family(plant.pid)), signal.SIGKILL)
    after = await _rates(plant, seconds)
    killed = min(UIDS, key=lambda uid: after[uid])
    others = [uid for uid in UIDS if uid != killed]
    logs = {uid: await plant.log_so_far(uid) for uid in others}
    wrong = 0
    for uid in others:
        tally = Identities(LOST_SECONDS)
        for chunk in logs[uid]:
            note(tally, chunk)
        wrong += tally.shared + tally.reused
    share = sum(after[uid] for uid in others) / sum(before[uid] for uid in others)
    kept = f"{seconds:g} s before and after; the job whose decoder was killed fails and is the operator's to restart"
    what = "1 of 8 decoders killed"
    return [
        Row(f"{what}: frames of the other 7", "", [share], (), 0.97, "of before", True, kept),
        Row(f"{what}: ids of the other 7 that mean two objects", "", [wrong], (), 0, "ids"),
    ]


async def _reconnects(plant: Plant, cameras: CameraSimulator, setup: Setup) -> list[Row]:
    """All cameras are lost together until there were so many reconnects."""
    before, memory, first = await _rates(plant, setup.seconds), plant.memory(), _reconnected(plant)
    while _reconnected(plant) - first < setup.reconnects:
        wanted = _reconnected(plant) + STREAMS
        await asyncio.to_thread(cameras.fault, "*", "stop")
        await asyncio.sleep(GONE_SECONDS)
        await asyncio.to_thread(cameras.fault, "*", "none")
        async with asyncio.timeout(60):
            while _reconnected(plant) < wanted:  # noqa: ASYNC110 - the worker is asked, it does not tell
                await asyncio.sleep(0.2)
    done = _reconnected(plant) - first
    after = await _rates(plant, setup.seconds)
    grown = 100 * (plant.memory() - memory) / done
    share = sum(after.values()) / sum(before.values())
    about = f"{done:g} reconnects of {STREAMS} cameras"
    return [
        Row("reconnects: frames a second after them", "", [share], (), 0.98, "of before", True, about),
        Row("reconnects: memory a hundred of them", "", [grown], (), 1.0, "MiB", remark=about),
    ]


def _reconnected(plant: Plant) -> float:
    return sum(plant.counts().get("source_reconnects", {}).values())


async def _rates(plant: Plant, seconds: float) -> dict[str, float]:
    """Frames a second of each stream, over so long."""
    began, first = time.monotonic(), plant.counts()["frames_processed"]
    await asyncio.sleep(seconds)
    last, passed = plant.counts()["frames_processed"], time.monotonic() - began
    return {uid: (last[uid] - first[uid]) / passed for uid in UIDS}
