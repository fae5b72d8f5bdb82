"""The named plans."""

from __future__ import annotations

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
    StealLease,
    Suspend,
)
from tests.faults.proxy.calls import WRITES
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
    Refuse,
    Repeat,
    Silence,
    Stale,
    Where,
)
from tests.faults.workloads import ALL, ENDLESS, FULL, LICENSED, MIXED, MOVING, ROOMY

_STRIDE = 8
_WRITES = 46
"""So many writes the workload takes at least, also where one pass finds several changes. Kills of a plan are a stride
apart: with all first writes from 1 to the stride, every write is met."""
_PODS = Where(("pods", "secrets"))
_POOL_STATUS = Where(("workerpools",), ("PATCH",))


def _killed(first: int, answered: bool) -> Plan:
    writes = range(first, _WRITES + 1, _STRIDE)
    when = "after-the-answer" if answered else "before"
    kills = tuple(Kill(write, answered) for write in writes)
    return Plan(f"killed-{when}-of-writes-{first}-{first + _STRIDE}-and-so-on", MIXED, kills)


KILLS = [_killed(first, answered) for first in range(1, _STRIDE + 1) for answered in (False, True)]

KILLS_AT_STATUS = [
    Plan("killed-in-a-licence", LICENSED, (Kill(8, True), Kill(13, False), Kill(17, True), Kill(20, False))),
    Plan("killed-when-full", FULL, (Kill(9, True), Kill(14, False), Kill(18, True), Kill(22, False))),
    Plan("killed-in-endless", ENDLESS, tuple(Kill(write, write % 2 == 0) for write in range(6, 30, 5))),
]

REQUESTS = [
    Plan("conflicts", MIXED, (Refuse(409, JOB_STATUS, skip=1, times=6),), short=True),
    Plan("conflicts-everywhere", MIXED, (Refuse(409, skip=2, times=20),)),
    Plan("too-many-requests", MIXED, (Refuse(429, JOB_STATUS, retry_after=1, skip=2, times=4),)),
    Plan("too-many-requests-without-an-hour", MIXED, (Refuse(429, skip=1, times=10),)),
    Plan("server-errors", MIXED, (Refuse(500, skip=1, times=8), Refuse(503, skip=9, times=8)), short=True),
    Plan("unavailable-status", ENDLESS, (Refuse(503, JOB_STATUS, times=12),)),
    Plan("no-pods", MIXED, (Refuse(500, _PODS, times=3), LoseAnswer(_PODS, skip=1, times=3))),
    Plan("pool-status-refused", FULL, (Refuse(409, _POOL_STATUS, times=5), Refuse(500, _POOL_STATUS, times=5))),
    Plan("answers-lost", MIXED, (LoseAnswer(JOB_STATUS, times=8),), short=True),
    Plan("answers-lost-everywhere", MIXED, (LoseAnswer(skip=3, times=20),)),
    Plan("answers-cut", MIXED, (LoseAnswer(half=True, skip=1, times=20),)),
    Plan("answers-lost-of-licensed", LICENSED, (LoseAnswer(JOB_STATUS, times=12),)),
    Plan("slow-writes", MIXED, (Delay(1.5, JOB_STATUS, times=10),)),
    Plan("writes-time-out", MIXED, (Delay(3.0, JOB_STATUS, skip=1, times=4),)),
    Plan("lists-refused", MIXED, (Refuse(503, Where(WATCHED, READS), times=6), Refuse(429, Where(WATCHED, READS), 1))),
    Plan("lease-writes-refused", MIXED, (Refuse(500, Where(("leases",), WRITES), skip=3, times=2),)),
    Plan("lease-answers-lost", MIXED, (LoseAnswer(Where(("leases",), WRITES), skip=2, times=4),)),
    Plan("lease-out-of-reach", MIXED, (Refuse(503, Where(("leases",), WRITES), skip=4, times=8),)),
]

WATCHES = [
    Plan("events-late", MIXED, (Hold(1.0),), short=True),
    Plan("events-late-when-licensed", LICENSED, (Hold(0.7),)),
    Plan("events-late-when-full", FULL, (Hold(0.7),)),
    Plan("jobs-after-pods", MIXED, (Hold(1.5, ("videojobs",)),)),
    Plan("pods-after-jobs", MIXED, (Hold(1.5, ("pods",)),)),
    Plan("pools-after-all", FULL, (Hold(2.0, ("workerpools",)),)),
    Plan("events-repeated", MIXED, (Repeat(3),)),
    Plan("superseded-events-dropped", MIXED, (DropSuperseded(0.5),), short=True),
    Plan("superseded-events-dropped-of-endless", ENDLESS, (DropSuperseded(0.3),)),
    Plan("dropped-then-gone", MIXED, tuple(DropThenGone(3, (kind,), skip=2, times=4) for kind in WATCHED), short=True),
    Plan("dropped-then-gone-when-licensed", LICENSED, (DropThenGone(2, ("videojobs",), skip=1, times=5),)),
    Plan("watches-gone-at-once", MIXED, (Refuse(410, Where(WATCHED, ("WATCH",)), times=6),)),
    Plan("watches-refused", MIXED, (CutLine(times=5), Refuse(500, Where(WATCHED, ("WATCH",)), skip=3, times=6))),
    Plan("lines-cut", MIXED, tuple(CutLine((kind,), skip=2, times=5) for kind in WATCHED), short=True),
    Plan("jobs-silent", MIXED, (Silence(6.0, kinds=("videojobs",), skip=4, times=2),)),
    Plan("pods-silent", FULL, (Silence(5.0, kinds=("pods",), skip=1, times=1),)),
    Plan("bookmarks-only", MIXED, (Silence(6.0, bookmarks=True, kinds=("videojobs",), skip=6, times=2),)),
    Plan("silent-until-the-watchdog", MIXED, (Silence(10_000.0, kinds=("videojobs",), skip=12, times=1),), quiet=60.0),
    Plan(
        "older-list-after-a-cut",
        MIXED,
        (DropThenGone(1, ("videojobs",), skip=8, times=2), Stale(5, 1.0, ("videojobs",), times=2)),
    ),
    Plan(
        "older-list-of-pods",
        FULL,
        (DropThenGone(1, ("pods",), skip=2, times=1), Stale(3, 1.0, ("pods",), times=1)),
    ),
    Plan(
        "older-list-when-licensed",
        LICENSED,
        (DropThenGone(1, ("videojobs",), skip=3, times=2), Stale(3, 1.0, ("videojobs",), times=2)),
    ),
]

LEADERS = [
    Plan("lease-stolen", MIXED, stage=(StealLease(9), StealLease(20))),
    Plan("leader-suspended", MIXED, stage=(Suspend(10, 8.0), Suspend(22, 8.0)), replicas=2, short=True),
    Plan("leader-suspended-in-a-licence", LICENSED, stage=(Suspend(7, 7.0), Suspend(12, 7.0)), replicas=2),
    Plan("leader-partitioned", MIXED, stage=(Partition(10, 8.0), Partition(22, 8.0)), replicas=2),
    Plan("leader-partitioned-when-full", FULL, stage=(Partition(9, 8.0), Partition(15, 8.0)), replicas=2),
    Plan("partitioned-alone", MIXED, stage=(Partition(12, 6.0),)),
    Plan("clock-an-hour-ahead", MIXED, (Kill(7, True), Kill(20, False)), replicas=2, skew=3600.0),
    Plan("clock-a-day-behind", MIXED, (Kill(7, True), Kill(20, False)), replicas=2, skew=-86400.0),
    Plan("clock-ahead-of-endless", ENDLESS, (Kill(9, True), Kill(14, False)), replicas=2, skew=7200.0),
]

WORKERS = [
    Plan("pods-lost", MIXED, stage=(LosePod(10), LosePod(22))),
    Plan("pods-lost-when-full", FULL, stage=(LosePod(12),)),
    Plan("pods-lost-when-licensed", LICENSED, stage=(LosePod(8), LosePod(14))),
    Plan("workers-crash", ROOMY, stage=(CrashWorker(10), CrashWorker(20))),
    Plan("workers-crash-while-the-operator-dies", MIXED, (Kill(12, True),), stage=(CrashWorker(12),), short=True),
    Plan("pods-lost-while-the-operator-dies", MIXED, (Kill(12, False),), stage=(LosePod(12),)),
    Plan("worker-silent-for-a-while", MIXED, stage=(SilenceWorker(14, 13.0),)),
    Plan("worker-silent-for-too-long", ENDLESS, stage=(SilenceWorker(9, 45.0),)),
    Plan("streams-cut", MIXED, workers=(CutEvents(2, times=6),)),
    Plan("streams-cut-in-a-line", MIXED, workers=(CutEvents(3, half=True, times=6),)),
    Plan("streams-late", MIXED, workers=(DelayEvents(0.4, times=60),)),
    Plan("streams-repeated", ENDLESS, workers=(RepeatEvents(),)),
    Plan("sets-refused", MIXED, workers=(RefuseSet(500, skip=1, times=4),)),
    Plan("sets-of-an-older-term", MIXED, workers=(RefuseSet(409, above=3, skip=2, times=2),)),
    Plan("sets-conflict", MIXED, workers=(RefuseSet(409, skip=1, times=4),)),
    Plan("answers-of-sets-lost", MIXED, workers=(LoseSetAnswer(skip=1, times=5),)),
    Plan("specs-needed-again", MIXED, workers=(NeedAgain(times=5),)),
    Plan("other-instance-at-a-set", MIXED, workers=(OtherInstance(skip=2, times=2),)),
    Plan("info-refused", FULL, workers=(RefuseInfo(times=4),)),
    Plan(
        "everything-between-operator-and-workers",
        MIXED,
        workers=(
            CutEvents(4, times=4),
            RepeatEvents(20),
            LoseSetAnswer(skip=2, times=2),
            NeedAgain(times=3),
            RefuseSet(500, skip=4, times=2),
        ),
    ),
]

MOVES = [
    Plan("killed-while-moving", MOVING, (Kill(17, True), Kill(20, False), Kill(23, True), Kill(26, False))),
    Plan("answers-lost-while-moving", MOVING, (LoseAnswer(JOB_STATUS, skip=6, times=6),)),
    Plan("conflicts-while-moving", MOVING, (Refuse(409, JOB_STATUS, skip=6, times=6),)),
    Plan("events-late-while-moving", MOVING, (Hold(0.7),)),
    Plan("dropped-then-gone-while-moving", MOVING, (DropThenGone(2, ("videojobs",), skip=7, times=3),)),
    Plan("leader-partitioned-while-moving", MOVING, stage=(Partition(18, 8.0),), replicas=2),
    Plan("worker-crashes-while-moving", MOVING, stage=(CrashWorker(18),)),
    Plan("answers-of-sets-lost-while-moving", MOVING, workers=(LoseSetAnswer(skip=3, times=5),)),
]

HASTY = [Plan(f"hasty-{workload.name}", workload, hasty=True) for workload in (MIXED, FULL)]
UNDISTURBED = [Plan(f"undisturbed-{workload.name}", workload) for workload in (*ALL, ROOMY)]

PLANS = {
    "requests": REQUESTS,
    "watches": WATCHES,
    "leaders": LEADERS,
    "workers": WORKERS,
    "kills": [*KILLS_AT_STATUS, *KILLS],
    "moves": MOVES,
    "hasty": HASTY,
}
"""By what goes wrong."""
