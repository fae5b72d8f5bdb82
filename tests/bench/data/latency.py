"""Rows of latency: from the arrival of a camera's frame to what is heard of it, at 70 % of what the worker can do."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.control.rows import Row, percentile
from tests.bench.data.heard import Reader, listen, picture_ages
from tests.bench.data.plant import Plant, camera_job, crowding, running
from tests.bench.data.setup import Setup
from tests.support.cameras import CameraSimulator
from tests.support.receiver import Receiver, receiving
from videofleet_api.protocol import JobState
from videofleet_archive.store import FolderArchive

ROUNDS = 3
"""At most: each takes a minute and more."""
STREAMS = 4
CAMERAS = 8
CAMERA_PERIOD = 0.1
LOAD = 0.7
MARGIN = 0.010
# Where the goals are missed on a machine that has nothing else to do: what they leave out.
HELD_BACK = (
    "a camera sends a frame a period after the time that it puts on it (one camera by itself: told 0.03 s after it has "
    "come, 0.13 s after that time), so that the period is over when it comes; if those of other cameras are looked at "
    "then it waits for them, for which this has no room"
)
DRAWN = "waits as its event does; that it is drawn and encoded adds {:.0f} ms to it"
STORED = (
    "it is late by what the live event is late by: to seal and to store it takes {:.2f} s, for which {:.2f} s are there"
)
SEAL_SECONDS = 0.2
"""A live source's results are sealed so often while somebody reads them (decision 0049)."""
SETTLE_SECONDS = 3.0


@dataclass
class Heard:
    """A figure a round, in seconds: 95th percentiles of ages, what they may be, and the first frame's."""

    live: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    goal: list[float] = field(default_factory=list)
    durable_goal: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


def latency_rows(setup: Setup) -> list[Row]:
    """Cameras of 768x576 over RTSP."""
    return asyncio.run(_measured(setup))


async def capacity(plant: Plant, cameras: CameraSimulator, seconds: float) -> float:
    """Frames a second of a worker that gets more than it can do: all frames of eight cameras."""
    jobs = [camera_job(cameras.rtsp(f"/cam{n + 1}"), f"capacity-{n}") for n in range(CAMERAS)]
    await plant.client.assign(*jobs)
    for job in jobs:
        await plant.client.until(job.uid, {JobState.RUNNING}, seconds=300)
    await asyncio.sleep(SETTLE_SECONDS)
    began, before = time.monotonic(), await asyncio.to_thread(plant.analysed)
    await asyncio.sleep(seconds)
    done = await asyncio.to_thread(plant.analysed) - before
    passed = time.monotonic() - began
    await plant.client.assign()
    return done / passed


async def _measured(setup: Setup) -> list[Row]:
    heard, loads = Heard(), []
    async with AsyncExitStack() as stack:
        cameras = stack.enter_context(CameraSimulator(["--cameras", str(CAMERAS)]))
        receiver = await stack.enter_async_context(receiving())
        plant = await stack.enter_async_context(running(setup.folder / "latency"))
        for number in range(min(setup.rounds, ROUNDS)):
            before = plant.crowding()
            rate = LOAD * await capacity(plant, cameras, setup.seconds / 2) / STREAMS
            loads.append(rate)
            await _alone(plant, cameras, f"alone-{number}", heard)
            await _live(plant, cameras, receiver, f"live-{number}", rate, setup, heard)
            await _durable(plant, cameras, f"durable-{number}", rate, setup, heard)
            crowded = crowding(before, plant.crowding())
    return _rows(heard, loads, crowded)


def _rows(heard: Heard, rates: Sequence[float], crowded: str) -> list[Row]:
    load = f"{STREAMS} cameras, {statistics.median(rates):.1f} frames a second of each; {crowded}"
    live = "arrival to live"
    budget = "frame period + inference + 10 ms"
    middle = {name: statistics.median(figures) for name, figures in vars(heard).items()}
    drawn = DRAWN.format(1e3 * max(middle["pictures"] - middle["live"], 0.0))
    stored = STORED.format(middle["durable"] - middle["live"], middle["durable_goal"] - middle["goal"])
    return [
        Row(f"{live} SSE event, p95, 70 % load", budget, heard.live, heard.goal, 1.0, remark=f"{load}; {HELD_BACK}"),
        Row(
            f"{live} WebSocket picture, p95, 70 % load",
            budget,
            heard.pictures,
            heard.goal,
            1.0,
            remark=f"{load}; {drawn}",
        ),
        Row(
            "arrival to durable SSE event, p95, 70 % load",
            "that + seal + put",
            heard.durable,
            heard.durable_goal,
            1.0,
            remark=stored,
        ),
        Row("arrival to a webhook's post, p95, 70 % load", "", heard.posts),
        Row("camera: assigned to first frame, alone", "", heard.first),
    ]


async def _alone(plant: Plant, cameras: CameraSimulator, uid: str, heard: Heard) -> None:
    began = time.monotonic()
    await plant.client.assign(camera_job(cameras.rtsp("/cam1"), uid))
    await plant.client.until(uid, {JobState.RUNNING})
    heard.first.append(time.monotonic() - began)


async def _live(
    plant: Plant, cameras: CameraSimulator, receiver: Receiver, name: str, rate: float, setup: Setup, heard: Heard
) -> None:
    """Without an archive a document is to be read when its frame is through."""
    outputs = {"webhooks": [{"url": receiver.url(f"/{name}"), "events": ["trackBegin"]}]}
    readers = await _begun(plant, cameras, name, rate, archiveEnabled=False, outputs=outputs)
    before = await asyncio.to_thread(plant.batches)
    await listen(readers, setup.seconds, pictures=True)
    seconds, batches = (now - then for now, then in zip(await asyncio.to_thread(plant.batches), before, strict=True))
    heard.goal.append(CAMERA_PERIOD + seconds / batches + MARGIN)
    heard.live.append(_p95([told.age for one in readers for told in one.told]))
    shown = [age for one in readers for age in picture_ages(one.told, one.pictures, 0.5 / rate)]
    heard.pictures.append(_p95(shown))
    posts = [(post.received, post.json["capture_time"]) for post in receiver.at(f"/{name}")]
    heard.posts.append(_p95([received - captured for received, captured in posts]))


async def _durable(plant: Plant, cameras: CameraSimulator, name: str, rate: float, setup: Setup, heard: Heard) -> None:
    readers = await _begun(plant, cameras, name, rate)
    await listen(readers, setup.seconds)
    heard.durable.append(_p95([told.age for one in readers for told in one.told]))
    put = await asyncio.to_thread(_put_seconds, setup.folder / "puts")
    heard.durable_goal.append(heard.goal[-1] + SEAL_SECONDS + put)


async def _begun(plant: Plant, cameras: CameraSimulator, name: str, rate: float, **spec: object) -> list[Reader]:
    jobs = [
        camera_job(cameras.rtsp(f"/cam{n + 1}"), f"{name}-{n}", rate, track={"lostSeconds": 2.0}, **spec)
        for n in range(STREAMS)
    ]
    await plant.client.assign(*jobs)
    for job in jobs:
        await plant.client.until(job.uid, {JobState.RUNNING}, seconds=300)
    await asyncio.sleep(SETTLE_SECONDS)
    return [Reader(plant, job.uid) for job in jobs]


def _p95(ages: Sequence[float]) -> float:
    return percentile(ages, 0.95)


def _put_seconds(folder: Path) -> float:
    """The median of storing a segment, which is preceded by its sidecar."""
    folder.mkdir(exist_ok=True)
    store, taken = FolderArchive(folder), []
    first = len(list(folder.iterdir()))
    for number in range(first, first + 20):
        began = time.monotonic()
        store.create(f"sidecar-{number}", b"0" * 300)
        store.create(f"segment-{number}", b"0" * 4000)
        taken.append(time.monotonic() - began)
    return statistics.median(taken)
