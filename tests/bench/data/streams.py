"""Rows of streams: what a further one takes of processor and memory, in one worker and as processes of their own."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.control.rows import Row
from tests.bench.data import processes
from tests.bench.data.agreement import DisagreementError
from tests.bench.data.clips import FOUR_K, FULL_HD, enlarged
from tests.bench.data.loops import told_by_loop, told_by_us, watching
from tests.bench.data.plant import Plant, camera_job, running
from tests.bench.data.setup import Setup
from tests.support.cameras import CameraSimulator
from tests.support.waiting import wait_until
from videofleet_api.protocol import JobState

MOST = 8
MOST_4K = 4
ROUNDS = 3
"""At most: each takes minutes."""
CAMERA_RATE = 10
"""Pictures a second, of which one is analysed."""
START_SECONDS = 300.0
SETTLE_SECONDS = 5.0
ALIKE = 0.15
"""Cameras are at other places of the clip when each is looked at: so far the people found in a frame may differ."""
HELD_BACK = (
    "{} streams had {:.0%} of the frames that were asked for analysed; for each second of work threads waited {:.1f} s "
    "for a processor: what is decoded and then too old to be analysed counts as well"
)
APART = f"{MOST} processes, each with cv2 and a session of its own"


@dataclass(frozen=True)
class Load:
    """What was taken over some seconds: processor seconds and frames analysed a second, and MiB at the end."""

    streams: int
    cpu: float
    frames: float
    memory: float
    waited: float = 0.0
    """Seconds a second that threads were ready to run while others had the processors."""


def further_cpu(loads: Sequence[Load]) -> float:
    """Milliseconds of processor time a frame of a further stream, from the fewest streams to the most."""
    first, last = loads[0], loads[-1]
    return 1e3 * (last.cpu - first.cpu) / (last.frames - first.frames)


def further_memory(loads: Sequence[Load]) -> float:
    """MiB of a further stream: the slope over all numbers of streams but 1."""
    several = [one for one in loads if one.streams > 1]
    return statistics.linear_regression([one.streams for one in several], [one.memory for one in several]).slope


def stream_rows(setup: Setup) -> list[Row]:
    """Cameras of 1080p, one frame a second of each analysed; ours and processes of their own in turn."""
    clip = enlarged(setup.folder, FULL_HD, 15 * CAMERA_RATE, CAMERA_RATE)
    ours: list[list[Load]] = []
    theirs: list[list[Load]] = []
    with CameraSimulator(["--cameras", str(MOST), "--clip", str(clip)]) as cameras:
        for number in range(min(setup.rounds, ROUNDS)):
            folder = setup.folder / f"streams-{number}"
            mine, found = asyncio.run(ours_with(setup, cameras, folder, (0, 1, 2, MOST)))
            ours.append(mine)
            loads, peers = _processes(setup, cameras, (1, 2, MOST))
            theirs.append(loads)
            alike = _alike(found, peers)
    with CameraSimulator(["--cameras", str(MOST_4K), "--clip", str(_four_k(setup.folder))]) as cameras:
        larger, _ = asyncio.run(ours_with(setup, cameras, setup.folder / "streams-4k", (2, MOST_4K)))
    return _rows(ours, theirs, larger, f"H.264, 10 pictures a second over RTSP, {alike}")


def _rows(ours: Sequence[list[Load]], theirs: Sequence[list[Load]], larger: Sequence[Load], about: str) -> list[Row]:
    cpu, memory = "a further 1080p stream, 1 to 8, a frame a second of each", "memory (PSS) of a further stream"
    further = [further_cpu(one[1:]) for one in ours]
    first = [further_cpu(one[:2]) for one in ours]
    grown = [further_memory(one) for one in ours]
    unit = "ms CPU a frame"
    about = f"{about}; {_held_back([one[-1] for one in ours])}"
    return [
        Row(cpu, "the first stream", further, first, 1.05, unit, remark=about),
        Row(cpu, APART, further, [further_cpu(one) for one in theirs], 0.8, unit, remark=about),
        Row(f"{memory}, 1080p, 2 to 8", "", grown, reach=60 * 1e6 / 2**20, unit="MiB"),
        Row(f"{memory}, 1080p, 2 to 8", APART, grown, [further_memory(one) for one in theirs], unit="MiB"),
        Row(f"{memory}, 4K, 2 to {MOST_4K}", "", [further_memory(larger)], unit="MiB"),
    ]


def _held_back(fullest: Sequence[Load]) -> str:
    """What the most streams got, as medians of the rounds; a frame a second of each was asked for."""
    analysed = statistics.median(one.frames / one.streams for one in fullest)
    return HELD_BACK.format(MOST, min(analysed, 1.0), statistics.median(one.waited / one.cpu for one in fullest))


def _four_k(folder: Path) -> Path:
    return enlarged(folder, FOUR_K, 3 * CAMERA_RATE, CAMERA_RATE)


async def ours_with(
    setup: Setup, cameras: CameraSimulator, folder: Path, counts: Sequence[int]
) -> tuple[list[Load], float]:
    """One worker with so many streams, one number after the other, and the people found in a frame."""
    loads = []
    async with running(folder) as plant:
        for count in counts:
            jobs = [camera_job(cameras.rtsp(f"/cam{n + 1}"), f"stream-{n}", 1.0) for n in range(count)]
            await plant.client.assign(*jobs)
            for job in jobs:
                await plant.client.until(job.uid, {JobState.RUNNING}, seconds=300)
            await asyncio.sleep(SETTLE_SECONDS)
            loads.append(await asyncio.to_thread(_watch, count, [plant.pid], plant.analysed, setup.seconds))
        return loads, await _people(plant, max(counts))


def _watch(streams: int, pids: Sequence[int], analysed: Callable[[], float], seconds: float) -> Load:
    """What processes and their children take over so long."""
    began, frames, cpu = time.monotonic(), analysed(), sum(map(processes.cpu_seconds, pids))
    waited = sum(map(processes.waited, pids))
    time.sleep(seconds)
    spent, done = sum(map(processes.cpu_seconds, pids)) - cpu, analysed() - frames
    waited = sum(map(processes.waited, pids)) - waited
    passed = time.monotonic() - began
    return Load(streams, spent / passed, done / passed, sum(map(processes.memory, pids)), waited / passed)


async def _people(plant: Plant, streams: int) -> float:
    found = [told_by_us(await plant.log_so_far(f"stream-{n}")) for n in range(streams)]
    return statistics.fmean(len(scores) for one in found for _, scores in one)


def _processes(setup: Setup, cameras: CameraSimulator, counts: Sequence[int]) -> tuple[list[Load], float]:
    """The same with a process a stream."""
    loads = []
    for count in counts:
        with watching(setup, [cameras.rtsp(f"/cam{n + 1}") for n in range(count)], CAMERA_RATE) as started:
            pids, results = [pid for pid, _ in started], [path for _, path in started]
            wait_until(partial(_each_told, results), "each process has told a frame", START_SECONDS)
            time.sleep(SETTLE_SECONDS)
            loads.append(_watch(count, pids, partial(_all_lines, results), setup.seconds))
        found = [told_by_loop(one) for one in results]
    return loads, statistics.fmean(len(scores) for one in found for _, scores in one)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _each_told(results: Sequence[Path]) -> bool:
    return all(map(_lines, results))


def _all_lines(results: Sequence[Path]) -> int:
    return sum(map(_lines, results))


def _alike(ours: float, theirs: float) -> str:
    """That both have found as many people, in words. Raises DisagreementError."""
    if abs(ours - theirs) > ALIKE * theirs:
        raise DisagreementError(f"{ours:.2f} people a frame, and {theirs:.2f} by processes of their own")
    return f"{ours:.2f} people a frame, {theirs:.2f} by the processes"
