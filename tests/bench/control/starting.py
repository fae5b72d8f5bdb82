"""How soon work starts: create to assigned beside Jobs, create to running beside Deployments, and how many a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.control.batch import BATCH_JOBS, DEPLOYMENTS, PodMarks, batch_job, delete_all, deployment
from tests.bench.control.rows import Row, percentile
from tests.bench.control.world import NAMESPACE, World
from tests.support.crowd import JOBS, POOLS, Crowd, in_swarm
from videofleet_kube.errors import NotFound

SWARM = 32
"""Requests that a client has under way when it creates as fast as it can."""
SHUT, OPEN = {"gate": "shut"}, {"gate": "open"}


@dataclass
class Starts:
    """Seconds from create to assigned, all rounds of one side: steadily one after the other, and in a swarm."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def add_steady(self, took: Sequence[float]) -> None:
        """One round at a steady rate."""
        self.p50.append(percentile(took, 0.5))
        self.p99.append(percentile(took, 0.99))


async def steadily(names: Sequence[str], rate: float, create: Callable[[str], Awaitable[object]]) -> dict[str, float]:
    """Create at a steady rate; the monotonic time before each create, by name."""
    born: dict[str, float] = {}
    began, tasks = time.monotonic(), []
    for number, name in enumerate(names):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        born[name] = time.monotonic()
        tasks.append(asyncio.ensure_future(create(name)))
    await asyncio.gather(*tasks)
    return born


async def ours_steadily(crowd: Crowd, names: Sequence[str], rate: float) -> list[float]:
    """Create to assigned, warm workers."""
    born = await steadily(names, rate, lambda name: crowd.create([name]))
    await crowd.until(lambda: all((name, "STARTING") in crowd.entered for name in names), "all are assigned")
    took = [crowd.entered[name, "STARTING"] - born[name] for name in names]
    await emptied(crowd)
    return took


async def theirs_steadily(world: World, marks: PodMarks, names: Sequence[str], rate: float) -> list[float]:
    """Create a Job to its Pod scheduled."""
    born = await steadily(names, rate, lambda name: world.api.create(BATCH_JOBS, NAMESPACE, batch_job(name)))
    await marks.until(lambda: all(name in marks.scheduled for name in names), "all are scheduled")
    took = [marks.scheduled[name] - born[name] for name in names]
    await delete_all(world.api, BATCH_JOBS, marks)
    return took


async def ours_at_once(world: World, crowd: Crowd, names: Sequence[str]) -> float:
    """Assignments a second, once jobs that wait may all go: a pool gets the label that they look for."""
    await _gate(world, SHUT)
    await crowd.create(names, workerSelector={"matchLabels": OPEN})
    await crowd.until_phase(len(names), "AWAITING")
    await crowd.quiet(1.0)
    began = time.monotonic()
    await _gate(world, OPEN)
    await crowd.until(lambda: all((name, "STARTING") in crowd.entered for name in names), "all are assigned")
    rate = len(names) / (max(crowd.entered[name, "STARTING"] for name in names) - began)
    await emptied(crowd)
    return rate


async def theirs_at_once(world: World, marks: PodMarks, names: Sequence[str]) -> float:
    """Pods scheduled a second, of Jobs that are created as fast as the server takes them."""

    async def create(name: str) -> None:
        await world.api.create(BATCH_JOBS, NAMESPACE, batch_job(name))

    began = time.monotonic()
    await in_swarm(create, names, SWARM)
    await marks.until(lambda: all(name in marks.scheduled for name in names), "all are scheduled")
    rate = len(names) / (max(marks.scheduled[name] for name in names) - began)
    await delete_all(world.api, BATCH_JOBS, marks)
    return rate


async def ceiling(world: World, names: Sequence[str]) -> float:
    """Status patches a second that the server takes from one client: as large as ours, on objects of nobody."""
    condition = {
        "status": "True",
        "reason": "Assigned",
        "message": "m" * 60,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    conditions = [{"type": kind, **condition} for kind in ("Ready", "Reconciling", "Stalled", "Scheduled", "Licensed")]
    status = {"phase": "STARTING", "reason": "Assigned", "message": "m" * 60, "epoch": 1, "conditions": conditions}

    async def patch(name: str) -> None:
        await world.api.patch(JOBS, "default", name, {"status": status}, subresource="status")

    async def create(name: str) -> None:
        spec = {"source": {"url": "rtsp://c.example/"}, "analytics": [{"steps": [{"model": "detect"}]}]}
        body = {"apiVersion": "videofleet.io/v1alpha1", "kind": "VideoJob", "metadata": {"name": name}, "spec": spec}
        await world.api.create(JOBS, "default", body)

    async def delete(name: str) -> None:
        await world.api.delete(JOBS, "default", name)

    await in_swarm(create, names, SWARM)
    began = time.monotonic()
    await in_swarm(patch, names, SWARM)
    rate = len(names) / (time.monotonic() - began)
    await in_swarm(delete, names, SWARM)
    return rate


async def ours_from_nothing(world: World, crowd: Crowd, name: str) -> float:
    """Create a VideoJob to running, on a worker that is made for it."""
    await world.pool(0, 1, name, minWorkers=0, maxWorkers=1, labels={"only": name})
    await asyncio.sleep(1.0)
    began = time.monotonic()
    await crowd.create([name], url="rtsp://c.example/?frame=0", workerSelector={"matchLabels": {"only": name}})
    await crowd.until(lambda: (name, "INPROGRESS") in crowd.entered, f"{name} runs")
    took = crowd.entered[name, "INPROGRESS"] - began
    await crowd.delete([name])
    await world.api.delete(POOLS, NAMESPACE, name)
    return took


async def theirs_from_nothing(world: World, marks: PodMarks, name: str) -> float:
    """Create a Deployment to its pod running."""
    began = time.monotonic()
    await world.api.create(DEPLOYMENTS, NAMESPACE, deployment(name))
    await marks.until(lambda: name in marks.running, f"{name} runs")
    took = marks.running[name] - began
    await delete_all(world.api, DEPLOYMENTS, marks)
    return took


async def emptied(crowd: Crowd) -> None:
    """Delete every job and wait until the watch has told so."""
    await crowd.delete([job.name for job in crowd.jobs])
    await crowd.until(lambda: not crowd.jobs, "every job is gone")
    crowd.entered.clear()


async def _gate(world: World, labels: dict[str, str]) -> None:
    try:
        await world.api.patch(POOLS, NAMESPACE, "pool", {"spec": {"labels": labels}})
    except NotFound:
        raise AssertionError("the pool `pool` is not there") from None
    await asyncio.sleep(0.5)


def rows_of(ours: Starts, default: Starts, raised: Starts, ceilings: list[float]) -> Iterator[Row]:
    """The rows on how soon work is assigned."""
    for name, peer in (("default client QPS", default), ("raised client QPS", raised)):
        against = f"batch/v1 Job create to Pod scheduled, {name}"
        yield Row("create to assigned, warm workers, p50", against, ours.p50, peer.p50, 0.25)
        yield Row("create to assigned, warm workers, p99", against, ours.p99, peer.p99, 0.25)
    jobs = "Pods of batch/v1 Jobs scheduled a second, "
    yield Row("assignments a second", f"{jobs}default client QPS", ours.rates, default.rates, None, "1/s", True)
    yield Row("assignments a second", f"{jobs}raised client QPS", ours.rates, raised.rates, 3, "1/s", True)
    yield Row("assignments a second", "raw status patches a second", ours.rates, ceilings, 0.85, "1/s", True)


async def settled_workers(world: World, count: int, capacity: int) -> None:
    """A pool of warm workers."""
    await world.pool(count, capacity, labels=OPEN)
    await world.until_workers(count)
