"""Rows of losses: cameras that are lost again and again, and a decoder that is killed beside seven others."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack, aclosing
from typing import Any

from tests.bench.control.rows import Row
from tests.bench.data.identities import Identities
from tests.bench.data.plant import Plant, camera_job, running
from tests.bench.data.processes import family
from tests.bench.data.setup import Setup
from tests.bench.data.soak import GONE_SECONDS, note
from tests.support.cameras import CameraSimulator
from videofleet_api.protocol import Inventory, JobEvent, JobState

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
    """Kill the decoder of a stream: when it is back, and what becomes of the others."""
    before, killing = await _rates(plant, seconds), asyncio.create_task(_kill(plant))
    after = await _rates(plant, seconds)
    killed, away = await killing
    others = [uid for uid in UIDS if uid != killed]
    logs = {uid: await plant.log_so_far(uid) for uid in others}
    wrong = 0
    for uid in others:
        tally = Identities(LOST_SECONDS)
        for chunk in logs[uid]:
            note(tally, chunk)
        wrong += tally.shared + tally.reused
    share = sum(after[uid] for uid in others) / sum(before[uid] for uid in others)
    kept = f"{seconds:g} s before and after"
    what = "1 of 8 decoders killed"
    return [
        Row(f"{what}: until its next frame, in the same epoch", "", [away], (), 2.0, "s"),
        Row(f"{what}: frames of the other 7", "", [share], (), 0.97, "of before", True, kept),
        Row(f"{what}: ids of the other 7 that mean two objects", "", [wrong], (), 0, "ids"),
    ]


async def _kill(plant: Plant) -> tuple[str, float]:
    """Kill a decoder; the job that it was of, and the seconds until that has a frame again."""
    killed, began = "", 0.0
    async with asyncio.timeout(60), aclosing(plant.client.events()) as events:
        async for event in events:
            if isinstance(event, Inventory):
                began = time.monotonic()
                # The worker and its fork server were there first.
                os.kill(max(family(plant.pid)), signal.SIGKILL)
            elif isinstance(event, JobEvent) and event.report.state is JobState.RECONNECTING:
                killed = event.report.uid
            elif isinstance(event, JobEvent) and (event.report.uid, event.report.state) == (killed, JobState.RUNNING):
                return killed, time.monotonic() - began
    raise AssertionError("the event stream ended")


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
