"""The planner alone: a plan of 10,000 jobs on 1,000 workers, cold and with 1 % of the jobs changed; placed value."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.control.rows import Row
from tests.support.domain import NOW, applied, job, pool, snapshot, worker
from videofleet_api.phases import Phase
from videofleet_api.protocol import JobState
from videofleet_operator.domain.model import Job, Snapshot, Worker
from videofleet_operator.domain.planner import plan, plan_after
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.resting import SCRATCH

ROUNDS = 7
LIMIT_S = 20.0
SOLVER = Path(__file__).with_name("peers") / "cp_sat.py"


def cluster(jobs: int, workers: int, pools: int = 10) -> Snapshot:
    """Jobs that wait for the first time, on workers with room for a fifth more than all.

    As where they come from the caches, those that differ in the address of their source alone share a spec.
    """
    capacity = max(1, round(jobs * 1.2 / workers))
    names = [f"p{number:02}" for number in range(pools)]
    made = [pool(name, labels={"site": name}, capacityPerWorker=capacity) for name in names]
    machines = [
        worker(f"w{number:04}", of=f"default/{names[number % pools]}", capacity=capacity) for number in range(workers)
    ]
    anywhere = job("anywhere", workerSelector={})
    tied = [job(name, workerSelector={"matchLabels": {"site": name}}) for name in names]
    like = [tied[number % pools] if number % 3 == 0 else anywhere for number in range(jobs)]
    waiting = [replace(each, uid=f"j{number:05}", name=f"j{number:05}") for number, each in enumerate(like)]
    return snapshot(waiting, machines, made)


def running(before: Snapshot) -> Snapshot:
    """The cluster once every job has been placed and its first frame was reported and written."""
    starting = applied(before, plan(before).records, 1.0)
    reports: dict[str, dict[str, Report]] = {}
    for each in starting.jobs.values():
        if each.record.worker is not None:
            report = Report(
                uid=each.uid, epoch=each.record.epoch, state=JobState.RUNNING, first_frame=True, first_frame_time=NOW
            )
            reports.setdefault(each.record.worker.id, {})[each.uid] = report
    workers = {key: replace(each, reports=reports.get(key, {})) for key, each in starting.workers.items()}
    told = replace(starting, workers=workers)
    return applied(told, plan(told).records, 1.0)


def dirtied(before: Snapshot, share: float, dice: random.Random) -> Snapshot:
    """The cluster where so large a share of the jobs has just been replaced by new ones."""
    gone = dice.sample(sorted(before.jobs), round(len(before.jobs) * share))
    left = before.jobs.keys() - gone
    jobs = {uid: each for uid, each in before.jobs.items() if uid in left}
    fresh = job("fresh", workerSelector={})
    jobs |= {f"{uid}x": replace(fresh, uid=f"{uid}x", name=f"{uid}x") for uid in gone}
    return replace(before, jobs=jobs, now=before.now + 1)


def planned_cold(cold: Snapshot) -> float:
    """Seconds of processor time for a plan that knows nothing."""
    began = time.process_time()
    made = plan(cold)
    took = time.process_time() - began
    placed = sum(record.phase is Phase.STARTING for record in made.records.values())
    if placed != len(cold.jobs):
        raise AssertionError(f"{placed} of {len(cold.jobs)} jobs were placed")
    return took


def planning_rows(jobs: int = 10_000, workers: int = 1_000) -> Iterator[Row]:
    """Both rows of the planner."""
    cold = cluster(jobs, workers)
    yield Row(
        f"plan {jobs} jobs x {workers} workers, cold",
        "",
        [1000 * planned_cold(cold) for _ in range(ROUNDS)],
        reach=100,
        unit="ms CPU",
    )
    warm = running(cold)
    _, resting = plan_after(warm, SCRATCH)
    dice, took = random.Random(1), []
    for _ in range(ROUNDS):
        dirty = dirtied(warm, 0.01, dice)
        began = time.process_time()
        plan_after(dirty, resting)
        took.append(1000 * (time.process_time() - began))
    yield Row(f"plan {jobs} jobs x {workers} workers, 1 % dirty", "", took, reach=5, unit="ms CPU")


@dataclass(frozen=True)
class Instance:
    """A cluster where not everything fits, and what each job is worth: its slots, by its priority."""

    snapshot: Snapshot
    values: dict[str, int]

    @classmethod
    def drawn(cls, seed: int, jobs: int = 150) -> Instance:
        """Jobs of 1 to 5 slots for small workers in three pools; a quarter more is asked for than there is."""
        dice = random.Random(seed)
        sites = ("a", "b", "c")
        pools = [pool(site, labels={"site": site}, capacityPerWorker=8, packing="binpack") for site in sites]
        given = [_drawn_job(number, dice, sites) for number in range(jobs)]
        room, machines = sum(one.spec.slots for one in given) / 1.25, list[Worker]()
        while sum(each.capacity for each in machines) < room:
            name, site = f"w{len(machines):03}", sites[len(machines) % 3]
            machines.append(worker(name, of=f"default/{site}", capacity=dice.choice((4, 6, 8))))
        values = {one.uid: one.spec.slots * (1 + one.spec.priority) for one in given}
        return cls(snapshot(given, machines, pools), values)

    def placed_value(self) -> int:
        """What our plan places."""
        records = plan(self.snapshot).records
        return sum(self.values[uid] for uid, record in records.items() if record.phase is Phase.STARTING)

    def bound(self, python: Path) -> tuple[float, float]:
        """The solver's upper bound on what can be placed, and the seconds it took."""
        began = time.monotonic()
        done = subprocess.run(
            [str(python), str(SOLVER)], input=json.dumps(self.document()), capture_output=True, text=True, check=True
        )
        return float(json.loads(done.stdout)["bound"]), time.monotonic() - began

    def document(self) -> dict[str, object]:
        """For the solver: workers by kind, jobs with the workers that they may go to."""
        machines = list(self.snapshot.workers.values())
        jobs = []
        for uid, one in self.snapshot.jobs.items():
            able = [index for index, each in enumerate(machines) if _may_run(one, each.pool, self.snapshot)]
            jobs.append({"slots": one.spec.slots, "value": self.values[uid], "workers": able})
        return {"capacities": [each.capacity for each in machines], "jobs": jobs, "seconds": LIMIT_S}


def _drawn_job(number: int, dice: random.Random, sites: tuple[str, ...]) -> Job:
    selector = {"matchLabels": {"site": dice.choice(sites)}} if dice.random() < 0.5 else {}
    slots, priority = dice.choice((1, 1, 1, 2, 2, 3, 5)), dice.choice((0, 0, 0, 1))
    return job(f"j{number:04}", slots=slots, priority=priority, workerSelector=selector, created=NOW - number)


def _may_run(one: Job, pool_key: str, of: Snapshot) -> bool:
    wanted = (one.spec.worker_selector.match_labels if one.spec.worker_selector else None) or {}
    return all(of.pools[pool_key].spec.labels.get(key) == value for key, value in wanted.items())


def value_row(python: Path, instances: int = 5) -> Row:
    """Placed value beside the solver's bound."""
    drawn = [Instance.drawn(seed) for seed in range(instances)]
    ours = [float(each.placed_value()) for each in drawn]
    bounds = [each.bound(python) for each in drawn]
    return Row(
        "placed value, at once",
        "bound of OR-tools CP-SAT",
        ours,
        [bound for bound, _ in bounds],
        reach=0.97,
        unit="",
        more_is_better=True,
    )
