"""`make bench-control`: the control plane's whole table, peers beside us on one API server, in turn.

Writes docs/bench/control.json and the table in docs/benchmarks.md. `--quick` is a look at whether everything runs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.control import failing, life, many, passes, planning, starting
from tests.bench.control.batch import PodMarks, watched
from tests.bench.control.rows import Row, Table, head
from tests.bench.control.world import NAMESPACE, World, crowd_of, kept_up, leading, opened, run_to_end, say
from tests.support.control_plane import RAISED
from tests.support.crowd import Crowd
from tests.support.programs import REPOSITORY

WORKERS = 20
PARTS = ("planning", "starts", "losses", "many")
RESULTS = REPOSITORY / "docs/bench/control.json"
PAGE = REPOSITORY / "docs/benchmarks.md"
SOLVER_PYTHON = REPOSITORY / ".venv-bench/bin/python"


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int = 5
    steady: int = 40
    rate: float = 8.0
    swarm: int = 300
    peers: int = 60
    lives: int = 40
    streams: int = 300
    jobs: int = 10_000
    few: int = 1_000


QUICK = Extent(rounds=1, steady=10, swarm=40, peers=20, lives=10, streams=60, jobs=300, few=100)


async def measure(extent: Extent, parts: Sequence[str], table: Table, folder: Path) -> None:
    """Everything, in three worlds: an operator's memory must not be that of the measure before."""
    ceilings = list[float]()
    if "planning" in parts:
        table.rows += list(planning.planning_rows(extent.jobs, max(1, extent.jobs // 10)))
        table.rows += await passes.pass_rows(extent.jobs, max(1, extent.jobs // 10))
        table.rows.append(await asyncio.to_thread(planning.value_row, SOLVER_PYTHON, extent.rounds))
    if "starts" in parts:
        async with opened(folder / "first") as world, crowd_of(world) as crowd, watched(world.api) as marks:
            ceilings = await measure_starts(extent, table, world, crowd, marks)
    if "losses" in parts:
        async with opened(folder / "second") as world, crowd_of(world) as crowd:
            await measure_losses(extent, table, world, crowd, ceilings)
    if "many" in parts:
        async with opened(folder / "third") as world, crowd_of(world) as crowd:
            await measure_many(extent, table, world, crowd)


async def measure_starts(extent: Extent, table: Table, world: World, crowd: Crowd, marks: PodMarks) -> list[float]:
    """How soon and at what price work starts; returns the ceilings of status patches a second."""
    ours, default, raised = starting.Starts(), starting.Starts(), starting.Starts()
    ceilings: list[float] = []
    new, deployments = [], []
    mine, alone, theirs = life.Lives(), life.Lives(), life.Lives()
    async with leading(world.operator()):
        await starting.settled_workers(world, WORKERS, max(4, extent.swarm * 2 // WORKERS))
        for round_ in range(extent.rounds):
            say(f"== starts, round {round_ + 1}")
            steady = [f"s{round_}-{number:04}" for number in range(extent.steady)]
            swarm = [f"m{round_}-{number:04}" for number in range(extent.swarm)]
            peers = swarm[: extent.peers]
            lives = [f"l{round_}-{number:04}" for number in range(extent.lives)]
            ours.add_steady(await starting.ours_steadily(crowd, steady, extent.rate))
            default.add_steady(
                await starting.theirs_steadily(world, marks, [f"d{name}" for name in steady], extent.rate)
            )
            default.rates.append(await starting.theirs_at_once(world, marks, [f"d{name}" for name in peers]))
            ours.rates.append(await starting.ours_at_once(world, crowd, swarm))
            ceilings.append(await starting.ceiling(world, swarm))
            world.plane.start_controllers(RAISED)
            raised.add_steady(
                await starting.theirs_steadily(world, marks, [f"r{name}" for name in steady], extent.rate)
            )
            raised.rates.append(await starting.theirs_at_once(world, marks, [f"r{name}" for name in peers]))
            await life.theirs(world, marks, [f"t{name}" for name in lives], theirs)
            await life.ours(world, crowd, lives, mine)
            await life.ours_alone(world, crowd, [f"a{name}" for name in lives[: max(1, extent.lives // 5)]], alone)
            new.append(await starting.ours_from_nothing(world, crowd, f"new-{round_}"))
            deployments.append(await starting.theirs_from_nothing(world, marks, f"deployment-{round_}"))
            world.plane.start_controllers()
    table.rows += starting.rows_of(ours, default, raised, ceilings)
    against = "Deployment create to its pod running"
    table.rows.append(Row("create to running on a new worker", against, new, deployments, 1.15))
    table.rows += life.rows_of(mine, alone, theirs)
    return ceilings


async def measure_losses(extent: Extent, table: Table, world: World, crowd: Crowd, ceilings: list[float]) -> None:
    """Leaders and workers lost."""
    lost, back, moved = failing.Failovers(), list[float](), list[int]()
    settings = {"lease_duration": f"{failing.LEASE:g}"}
    pair = world.operator("one", **settings), world.operator("two", **settings)
    async with kept_up(*pair):
        await starting.settled_workers(world, WORKERS, max(4, extent.streams * 3 // 2 // WORKERS))
        await crowd.create(f"stream-{number:04}" for number in range(extent.streams))
        await crowd.until_phase(extent.streams)
        for round_ in range(extent.rounds):
            say(f"== losses, round {round_ + 1}")
            epochs = {job.name: job.epoch for job in crowd.jobs}
            lost.killed.append(await failing.leader_lost(crowd, pair, f"killed-{round_}", True))
            lost.graceful.append(await failing.leader_lost(crowd, pair, f"stopped-{round_}", False))
            again = sum(job.epoch != epochs[job.name] for job in crowd.jobs if job.name in epochs)
            lost.restarted.append(float(again))
            took, count = await failing.worker_lost(world, crowd, WORKERS)
            back.append(took)
            moved.append(count)
    # Measured here only where the starts have not been measured in the same run.
    ceilings = ceilings or [await starting.ceiling(world, [f"c-{number}" for number in range(extent.swarm)])]
    at_ceiling = [failing.WRITES_OF_A_LOSS * count / statistics.median(ceilings) for count in moved]
    table.rows += failing.rows_of(lost, back, at_ceiling, max(moved))


async def measure_many(extent: Extent, table: Table, world: World, crowd: Crowd) -> None:
    """Many running jobs."""
    found = many.Many(extent.jobs, extent.few)
    operator = world.operator()
    async with leading(operator):
        await starting.settled_workers(world, WORKERS, extent.jobs * 5 // 4 // WORKERS)
        await many.remember(found, operator, crowd)
        await _grow(crowd, 0, extent.few)
        await many.remember(found, operator, crowd)
        say("== starts beside an index")
        await many.start_rounds_few(found, world, operator, extent.rounds)
        steps = [extent.few + (extent.jobs - extent.few) * step // 3 for step in range(4)]
        for first, last in itertools.pairwise(steps):
            await _grow(crowd, first, last)
            await many.remember(found, operator, crowd)
        say("== idle")
        await many.idle(found, world, crowd, 60)
        say("== starts beside a list")
        await many.start_rounds(found, world, operator, extent.rounds)
    table.rows += many.rows_of(found)


async def _grow(crowd: Crowd, first: int, last: int) -> None:
    say(f"== {last} jobs")
    await crowd.create((f"camera-{number:05}" for number in range(first, last)), at_once=16)
    await crowd.until_phase(last, timeout=1800)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench-control", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round of everything, written nowhere")
    parser.add_argument("--jobs", type=int, default=Extent.jobs, help="in the measures with many jobs")
    parser.add_argument("--render", action="store_true", help="write the table anew from the figures that there are")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one, the other rows stay")
    given = parser.parse_args()
    if given.render:
        Table.read(RESULTS).write(RESULTS, PAGE)
        return
    extent = QUICK if given.quick else Extent(jobs=given.jobs)
    table = Table(head())
    with tempfile.TemporaryDirectory(prefix=f"videofleet-{NAMESPACE}-") as folder:
        run_to_end(measure(extent, given.part or PARTS, table, Path(folder)))
    print(table.markdown())
    if not given.quick:
        if given.part:
            table.keep_others(RESULTS)
        table.write(RESULTS, PAGE)
        say(f"written: {RESULTS.relative_to(REPOSITORY)} and {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
