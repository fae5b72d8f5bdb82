"""Plans made from a number: the same number makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.faults.plans import (
    CrashWorker,
    CutEvents,
    DelayEvents,
    LosePod,
    LoseSetAnswer,
    NeedAgain,
    OtherInstance,
    Partition,
    Plan,
    RefuseInfo,
    RefuseSet,
    RepeatEvents,
    SilenceWorker,
    StageFault,
    StealLease,
    Suspend,
    WorkerFault,
)
from tests.faults.proxy.faults import (
    JOB_STATUS,
    READS,
    WATCHED,
    CutLine,
    Delay,
    DropSuperseded,
    DropThenGone,
    Hold,
    Kill,
    LoseAnswer,
    ProxyFault,
    Refuse,
    Repeat,
    Silence,
    Stale,
    Where,
)
from tests.faults.workloads import ALL

_STATUSES = (409, 410, 429, 500, 503)


def _kinds(rng: random.Random) -> tuple[str, ...]:
    return (rng.choice(WATCHED),) if rng.random() < 0.7 else WATCHED


def _where(rng: random.Random) -> Where:
    return rng.choice((Where(), JOB_STATUS, Where(("pods", "secrets")), Where(("workerpools",)), Where(WATCHED, READS)))


def _refuse(rng: random.Random) -> ProxyFault:
    status = rng.choice(_STATUSES)
    after = rng.choice((None, 1)) if status == 429 else None
    return Refuse(status, _where(rng), after, skip=rng.randint(0, 15), times=rng.randint(1, 8))


_PROXY: tuple[Callable[[random.Random], ProxyFault], ...] = (
    lambda rng: Kill(rng.randint(1, 35), answered=rng.random() < 0.5),
    lambda rng: Kill(rng.randint(1, 35), answered=rng.random() < 0.5),
    _refuse,
    _refuse,
    lambda rng: LoseAnswer(_where(rng), half=rng.random() < 0.3, skip=rng.randint(0, 12), times=rng.randint(1, 6)),
    lambda rng: Delay(rng.uniform(0.2, 2.5), _where(rng), skip=rng.randint(0, 12), times=rng.randint(1, 6)),
    lambda rng: Hold(rng.uniform(0.1, 1.5), _kinds(rng), skip=rng.randint(0, 5)),
    lambda rng: Repeat(rng.randint(2, 4), _kinds(rng)),
    lambda rng: DropSuperseded(rng.uniform(0.1, 0.8), _kinds(rng)),
    lambda rng: DropThenGone(rng.randint(1, 5), _kinds(rng), skip=rng.randint(0, 12), times=rng.randint(1, 3)),
    lambda rng: CutLine(_kinds(rng), skip=rng.randint(0, 12), times=rng.randint(1, 4)),
    lambda rng: Silence(rng.uniform(1, 6), rng.random() < 0.5, _kinds(rng), skip=rng.randint(0, 12)),
)
_STAGE: tuple[Callable[[random.Random], StageFault], ...] = (
    lambda rng: LosePod(rng.randint(8, 24)),
    lambda rng: CrashWorker(rng.randint(8, 24)),
    lambda rng: SilenceWorker(rng.randint(8, 24), rng.uniform(1, 14)),
    lambda rng: StealLease(rng.randint(2, 24)),
    lambda rng: Suspend(rng.randint(2, 24), rng.uniform(1, 7)),
    lambda rng: Partition(rng.randint(2, 24), rng.uniform(1, 7)),
)
_WORKERS: tuple[Callable[[random.Random], WorkerFault], ...] = (
    lambda rng: CutEvents(rng.randint(1, 6), rng.random() < 0.5, times=rng.randint(1, 5)),
    lambda rng: DelayEvents(rng.uniform(0.05, 0.4), times=40),
    lambda rng: RepeatEvents(),
    lambda rng: RefuseSet(rng.choice((409, 500)), rng.randint(0, 3), skip=rng.randint(0, 5), times=rng.randint(1, 3)),
    lambda rng: LoseSetAnswer(skip=rng.randint(0, 5), times=rng.randint(1, 3)),
    lambda rng: NeedAgain(skip=rng.randint(0, 5), times=rng.randint(1, 3)),
    lambda rng: OtherInstance(skip=rng.randint(0, 5)),
    lambda rng: RefuseInfo(times=rng.randint(1, 3)),
)


def plan_of(seed: int) -> Plan:
    """A workload with two to six faults of any kind."""
    rng = random.Random(seed)
    workload = rng.choice(ALL)
    faults = tuple(rng.choice(_PROXY)(rng) for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.2:
        faults += (DropThenGone(1, ("videojobs",), skip=4), Stale(rng.randint(1, 4), 0.5, ("videojobs",)))
    return Plan(
        f"seed-{seed}",
        workload,
        faults,
        tuple(rng.choice(_STAGE)(rng) for _ in range(rng.randint(0, 2))),
        tuple(rng.choice(_WORKERS)(rng) for _ in range(rng.randint(0, 2))),
        replicas=rng.choice((1, 1, 2)),
        skew=rng.choice((0.0, 0.0, 0.0, 900.0, -900.0)),
        generated=True,
    )
