"""The scale scenario: `python -m tests.bench.control.scale --jobs 10000 --workers 1000`.

Start, churn, loss of workers, restart of the operator, and silence when idle; what each took goes to
docs/bench/scale.json at full size, and is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.control.many import silence_of_operator
from tests.bench.control.rows import head
from tests.bench.control.world import NAMESPACE, World, crowd_of, kept_up, opened, run_to_end, say
from tests.support.control_plane import cpu_seconds, memory_bytes
from tests.support.crowd import Crowd
from tests.support.operator_process import OperatorProcess
from tests.support.programs import REPOSITORY

SLACK = 1.25
"""Capacity of all workers together, over what the jobs need."""
SETTLE = 5.0
FULL = 10_000
RESULTS = REPOSITORY / "docs/bench/scale.json"


@dataclass(frozen=True)
class Size:
    """How large a run is."""

    jobs: int
    workers: int
    lost: int
    churn_seconds: float
    churn_rate: float
    idle_seconds: float

    @property
    def capacity(self) -> int:
        """Of one worker."""
        return max(1, round(self.jobs * SLACK / self.workers))


async def run(size: Size, folder: Path) -> dict[str, Any]:
    """Everything in order; what was measured."""
    async with opened(folder) as world:
        operator = world.operator()
        async with kept_up(operator) as restarts, crowd_of(world) as crowd:
            result = await start(world, crowd, operator, size)
            say(json.dumps(result))
            for step in (idle, churn, loss, restart, idle):
                name = step.__name__ if step.__name__ not in result else f"{step.__name__} after all"
                result[name] = await step(world, crowd, operator, size)
                say(json.dumps({name: result[name]}))
            # One of them is ours, see `restart`.
            result["operator"] = usage(operator) | {"restarts": len(restarts)}
        trouble = [line for line in operator.log_path.read_text().splitlines() if "Traceback" in line]
        result["tracebacks"] = len(trouble)
        return result


async def start(world: World, crowd: Crowd, operator: OperatorProcess, size: Size) -> dict[str, Any]:
    """Workers come up, then all jobs are created at once."""
    began = time.monotonic()
    await world.pool(size.workers, size.capacity)
    await world.until_workers(size.workers)
    ready = time.monotonic()
    say(f"{size.workers} workers after {ready - began:.1f} s")
    await crowd.create(f"camera-{number:05}" for number in range(size.jobs))
    created = time.monotonic()
    done = await crowd.until_phase(size.jobs, timeout=1800)
    return {
        "jobs": size.jobs,
        "workers": size.workers,
        "workers ready s": round(ready - began, 1),
        "created s": round(created - ready, 1),
        "all running s": round(done - ready, 1),
        "after the last create s": round(done - created, 1),
    }


async def idle(world: World, crowd: Crowd, operator: OperatorProcess, size: Size) -> dict[str, Any]:
    """Writes of the operator while all is well, Leases apart."""
    await crowd.quiet(SETTLE, timeout=300)
    await silence_of_operator(world)
    _, position = world.plane.writes()
    busy, began = cpu_seconds(operator.process.pid), time.monotonic()
    await asyncio.sleep(size.idle_seconds)
    writes, _ = world.plane.writes(position)
    ours = [each for each in writes if each.agent == "videofleet"]
    share = (cpu_seconds(operator.process.pid) - busy) / (time.monotonic() - began)
    told = [f"{each.verb} {each.resource} {each.name}" for each in ours[:5]]
    return {"seconds": size.idle_seconds, "writes": len(ours), "told": told, "operator cpu share": round(share, 3)}


async def churn(world: World, crowd: Crowd, operator: OperatorProcess, size: Size) -> dict[str, Any]:
    """Changes at a steady rate: jobs come, go, and are edited. How long each new job took to run, how late all was."""
    pace, made = 1 / size.churn_rate, itertools.count()
    dice = random.Random(7)
    names = [job.name for job in crowd.jobs]
    born: dict[str, float] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def bear(name: str) -> None:
        await crowd.create([name])
        # Not before: a delete that overtakes the create would find nothing to delete.
        names.append(name)

    began = time.monotonic()
    for number in range(int(size.churn_rate * size.churn_seconds)):
        await asyncio.sleep(max(0.0, began + number * pace - time.monotonic()))
        match number % 3:
            case 0:
                name = f"new-{next(made):05}"
                born[name] = time.monotonic()
                change = bear(name)
            case 1:
                change = crowd.delete([names.pop(dice.randrange(len(names)))])
            case _:
                change = crowd.edit(dice.choice(names), maxFrames=number + 10**6)
        task = asyncio.create_task(change)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    sent = time.monotonic() - began
    await asyncio.gather(*tasks)
    last = time.monotonic()
    wanted = set(names)

    def settled() -> bool:
        return crowd.phases["INPROGRESS"] == len(wanted) == len(crowd.jobs)

    done = await crowd.until(settled, "all is as the last change wants it", 900)
    took = sorted(
        crowd.entered[name, "INPROGRESS"] - at for name, at in born.items() if (name, "INPROGRESS") in crowd.entered
    )
    return {
        "changes": int(size.churn_rate * size.churn_seconds),
        "a second": round(size.churn_rate * size.churn_seconds / sent, 1),
        "create to running p50 s": round(took[len(took) // 2], 3),
        "create to running p99 s": round(took[int(len(took) * 0.99)], 3),
        "settled after the last s": round(done - last, 2),
        "phases": {phase: count for phase, count in crowd.phases.items() if count},
    }


async def loss(world: World, crowd: Crowd, operator: OperatorProcess, size: Size) -> dict[str, Any]:
    """Workers vanish at once; every stream is back elsewhere."""
    busy = {job.worker for job in crowd.jobs}
    lost = [pod for pod in await world.pods() if pod["metadata"]["uid"] in busy][: size.lost]
    gone = {pod["metadata"]["uid"] for pod in lost}
    moved = sum(job.worker in gone for job in crowd.jobs)
    began = time.monotonic()
    await world.lose(lost)

    def back() -> bool:
        here = crowd.phases["INPROGRESS"] == len(crowd.jobs)
        return here and not any(job.worker in gone for job in crowd.jobs)

    done = await crowd.until(back, "every stream is back", 600)
    await world.until_workers(size.workers)
    whole = time.monotonic() - began
    return {
        "workers": len(lost),
        "streams": moved,
        "all back s": round(done - began, 2),
        "pool whole s": round(whole, 1),
    }


async def restart(world: World, crowd: Crowd, operator: OperatorProcess, size: Size) -> dict[str, Any]:
    """The operator is killed and started; no stream restarts, and a job made meanwhile runs."""
    epochs = {job.name: job.epoch for job in crowd.jobs}
    began = time.monotonic()
    operator.kill()
    await crowd.create(["latecomer"])
    done = await crowd.until(lambda: ("latecomer", "INPROGRESS") in crowd.entered, "the latecomer runs", 300)
    await crowd.until_phase(len(epochs) + 1, timeout=300)
    again = sum(job.epoch != epochs[job.name] for job in crowd.jobs if job.name in epochs)
    return {"killed to the next stream s": round(done - began, 1), "streams restarted": again}


def usage(operator: OperatorProcess) -> dict[str, Any]:
    """Memory and planning times of the operator as it is now."""
    metrics = operator.metrics()
    plans = metrics["videofleet_plan_seconds_count"]
    return {
        "memory MiB": round(memory_bytes(operator.process.pid) / 2**20),
        "plans": int(plans),
        "plan mean ms": round(1000 * metrics["videofleet_plan_seconds_sum"] / max(1, plans), 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--lost", type=int, default=50, help="workers that vanish at once")
    parser.add_argument("--churn-seconds", type=float, default=300)
    parser.add_argument("--churn-rate", type=float, default=50, help="changes a second")
    parser.add_argument("--idle-seconds", type=float, default=60)
    given = parser.parse_args()
    size = Size(given.jobs, given.workers, given.lost, given.churn_seconds, given.churn_rate, given.idle_seconds)
    with tempfile.TemporaryDirectory(prefix=f"videofleet-{NAMESPACE}-") as folder:
        text = json.dumps(head() | run_to_end(run(size, Path(folder))), indent=1)
    print(text)
    if size.jobs >= FULL:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
