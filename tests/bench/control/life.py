"""What one job costs the API server in its life, from create to its end: writes by all actors, processor time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.control.batch import BATCH_JOBS, PodMarks, batch_job, delete_all
from tests.bench.control.rows import Row
from tests.bench.control.starting import emptied
from tests.bench.control.world import NAMESPACE, World, until
from tests.support.control_plane import Written
from tests.support.crowd import POOLS, Crowd, in_swarm

OURS = "videofleet"
"""The operator, as it calls itself to the API server."""
URL = "rtsp://{name}.example/?frame=0.05&end=1"
"""A second of work, as the peers' pods have."""


@dataclass
class Lives:
    """Figures of one side a job, one a round."""

    writes: list[float] = field(default_factory=list)
    operator: list[float] = field(default_factory=list)
    """Of these, the operator's own without Events."""
    cpu_ms: list[float] = field(default_factory=list)

    async def add(self, world: World, names: Sequence[str], live: Callable[[], Awaitable[None]]) -> None:
        """One round: `live` brings all jobs from create to their end."""
        await _rest(world)
        idle = await _idle_share(world)
        _, position = world.plane.writes()
        busy, began = world.plane.cpu_seconds(), time.monotonic()
        await live()
        await _rest(world)
        used = world.plane.cpu_seconds() - busy - idle * (time.monotonic() - began)
        written = [each for each in world.plane.writes(position)[0] if counts(each)]
        own = [each for each in written if each.agent == OURS and each.resource != "events"]
        self.writes.append(len(written) / len(names))
        self.operator.append(len(own) / len(names))
        self.cpu_ms.append(1000 * max(0.0, used) / len(names))


def counts(write: Written) -> bool:
    """Whether a write belongs to the jobs: those of the benchmark's namespace that were taken."""
    return write.namespace == NAMESPACE and write.code < 300 and write.resource != "serviceaccounts/token"


async def _rest(world: World) -> None:
    """Wait until nothing has been written to the namespace for two seconds: Events come late."""
    _, position = world.plane.writes()
    last = time.monotonic()

    async def rested() -> bool:
        nonlocal position, last
        new, position = world.plane.writes(position)
        if any(counts(each) for each in new):
            last = time.monotonic()
        return time.monotonic() - last > 2.0

    await until(rested, "nothing is written any more", 300)


async def _idle_share(world: World) -> float:
    """Share of a core that the API server uses while nothing happens."""
    busy, began = world.plane.cpu_seconds(), time.monotonic()
    await asyncio.sleep(3.0)
    return (world.plane.cpu_seconds() - busy) / (time.monotonic() - began)


async def ours(world: World, crowd: Crowd, names: Sequence[str], lives: Lives) -> None:
    """Jobs that run once on warm workers."""

    async def live() -> None:
        await crowd.create(names, url=URL, singlePass=True)
        await crowd.until_phase(len(names), "COMPLETED", 300)

    await lives.add(world, names, live)
    await emptied(crowd)


async def ours_alone(world: World, crowd: Crowd, names: Sequence[str], lives: Lives) -> None:
    """The same where each job gets a worker that is made for it and taken away afterwards."""
    pool = {"minWorkers": 0, "maxWorkers": len(names), "labels": {"alone": "yes"}, "scaleDownDelay": 0}

    async def live() -> None:
        await crowd.create(names, url=URL, singlePass=True, workerSelector={"matchLabels": {"alone": "yes"}})
        await crowd.until_phase(len(names), "COMPLETED", 300)

    await world.pool(0, 1, "alone", **pool)
    await lives.add(world, names, live)
    await emptied(crowd)
    await world.api.delete(POOLS, NAMESPACE, "alone")


async def theirs(world: World, marks: PodMarks, names: Sequence[str], lives: Lives) -> None:
    """batch/v1 Jobs of one pod that ends after a second."""

    async def create(name: str) -> None:
        await world.api.create(BATCH_JOBS, NAMESPACE, batch_job(name))

    async def live() -> None:
        await in_swarm(create, names)
        await marks.until(lambda: all(name in marks.over for name in names), "all are over")

    await lives.add(world, names, live)
    await delete_all(world.api, BATCH_JOBS, marks)


def rows_of(mine: Lives, alone: Lives, peer: Lives) -> Iterator[Row]:
    """The rows on what a job costs."""
    against = "batch/v1 Job and its Pod"
    yield Row("API writes in a job's life, all actors", against, mine.writes, peer.writes, 0.4, "writes")
    yield Row("API writes in a job's life, the operator without Events", "", mine.operator, reach=3, unit="writes")
    yield Row("API writes in a job's life, one stream a worker", against, alone.writes, peer.writes, None, "writes")
    cpu = "API server's processor time a job"
    yield Row(cpu, against, mine.cpu_ms, peer.cpu_ms, 0.5, "ms")
    yield Row(f"{cpu}, one stream a worker", against, alone.cpu_ms, peer.cpu_ms, None, "ms")
