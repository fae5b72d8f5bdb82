"""What a worker finds that it holds, and what its pool makes of it."""

from typing import Any

import pytest

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, waiting_slots, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_api.protocol import CapacityHint, WorkerInfo
from videofleet_operator.domain.hints import Holding, holding, limited_told
from videofleet_operator.domain.model import Job, Worker
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.podview import Pod, PodState
from videofleet_operator.domain.pools import desired_workers

NO_GPU = "no NVIDIA GPU is visible here; using the CPU"
WHY = f"takes 3 of 16 slots: {NO_GPU}; it holds 3 streams"
FEW = worker("few", capacity=3, limited=WHY)
ON_GPU = {"provider": "cuda", "fallback_reason": None}
ON_CPU = {"accelerator": {"type": "none"}}


def info(slots: int | None = 3, **fields: Any) -> WorkerInfo:
    """A worker that fell back to the processor."""
    hint = None if slots is None else CapacityHint(slots=slots, message=f"{slots} streams")
    facts = {"provider": "cpu", "fallback_reason": NO_GPU, "capacity": 16, "hint": hint, **fields}
    return WorkerInfo(id="w", instance="i", version="1", term=0, models=[], steps=[], **facts)


CASES: list[tuple[str, dict[str, Any], WorkerInfo | None, Holding]] = [
    ("one that said nothing yet", {}, None, Holding(16)),
    ("one that did not look", {}, info(None), Holding(16)),
    ("one on the processor instead of a GPU", {}, info(), Holding(3, WHY)),
    ("one that holds as many", {}, info(16), Holding(16)),
    ("one that holds more", {}, info(40), Holding(16)),
    ("one on its GPU", {}, info(**ON_GPU), Holding(16)),
    ("one on its GPU where it always counts", {"capacityHints": "always"}, info(**ON_GPU),
     Holding(3, "takes 3 of 16 slots: it holds 3 streams")),
    ("one where it never counts", {"capacityHints": "ignore"}, info(), Holding(16)),
    ("one that was meant for the processor", ON_CPU, info(), Holding(16)),
    ("one that was meant for the processor, where it always counts", {**ON_CPU, "capacityHints": "always"}, info(),
     Holding(3, "takes 3 of 16 slots: it holds 3 streams")),
    ("one whose pool has still fewer", {"capacityPerWorker": 2}, info(), Holding(16)),
    ("one for a single job", {"isolation": "pod"}, info(1, capacity=1), Holding(1)),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "told", "holds"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_slots_of_a_worker(spec: dict[str, Any], told: WorkerInfo | None, holds: Holding) -> None:
    assert holding(pool(**spec), told) == holds


def test_the_first_by_name_is_told_and_the_others_are_counted() -> None:
    assert limited_told([worker("a")]) is None
    assert limited_told([worker("a"), FEW]) == f"worker few {WHY}"
    others = [worker(name, limited=WHY) for name in ("z", "y")]
    assert limited_told([*others, FEW]) == f"worker few {WHY} (and 2 more like it)"


def running(uid: str, on: Worker, **fields: Any) -> Job:
    return job(uid, record(Phase.INPROGRESS, worker=assigned(on)), **fields)


def test_what_does_not_fit_waits_and_is_told_why() -> None:
    waiting = plan(snapshot([running("a", FEW, slots=3), job("new")], [FEW])).waiting["new"]
    assert waiting.reason is Reason.WORKERS_FULL
    assert waiting.message == f"all 1 worker of 1 matching pool is full (3 of 3 slots); worker few {WHY}"
    large = plan(snapshot([job("new", slots=8)], [FEW])).waiting["new"]
    assert large.message.endswith(f"has 8 free slots (0 of 3 are used); worker few {WHY}")


def test_what_is_too_much_moves_to_another_worker_one_at_a_time() -> None:
    jobs = [running(f"j{n}", FEW) for n in range(1, 6)]
    moved = [uid for uid, it in plan(snapshot(jobs, [FEW, worker("w2")])).records.items() if it.move]
    assert moved == ["j5"]


def test_what_is_too_much_stops_where_there_is_no_room_and_says_why() -> None:
    jobs = [running(f"j{n}", FEW) for n in range(1, 6)]
    (stopped,) = plan(snapshot(jobs, [FEW])).records.values()
    assert (stopped.phase, stopped.reason) == (Phase.AWAITING, Reason.SHED)
    assert stopped.message == f"worker few may hold 3 slots now, and this stream gave way (it {WHY})"


def pod(ordinal: int, used: int, room: int | None) -> Pod:
    return Pod(f"p-{ordinal}-0", ordinal, 0, PodState.READY, NOW - 1000, used=used, room=room)


@pytest.mark.parametrize(
    ("pods", "waiting", "desired"),
    [
        ([pod(0, 3, 3)], [1, 1], 2),
        ([pod(0, 2, 3)], [1], 1),
        ([pod(0, 0, 3)], [8], 2),
        ([pod(0, 0, 3)], [3], 1),
        ([pod(0, 16, 3)], [], 1),
        ([pod(0, 16, 3)], [16], 2),
        ([pod(0, 3, None)], [1, 1], 1),
    ],
)
def test_another_worker_is_made_for_what_one_of_few_slots_does_not_take(
    pods: list[Pod], waiting: list[int], desired: int
) -> None:
    assert desired_workers(pool(minWorkers=0, maxWorkers=5), pods, waiting) == desired


def test_a_pool_that_cannot_grow_any_more_leaves_those_that_wait_to_the_next() -> None:
    pools = [pool(maxWorkers=1), pool("q", maxWorkers=1)]
    jobs = [running("a", FEW, slots=3), job("new", record(Phase.AWAITING, reason=Reason.WORKERS_FULL))]
    assert waiting_slots(snapshot(jobs, [FEW], pools)) == {"default/p": [], "default/q": [1]}
