"""Pools that give each job a worker pod of its own: what they hold, which pods come and go, and where jobs are put."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import (
    NOW,
    applied,
    assigned,
    job,
    pool,
    record,
    settled,
    snapshot,
    used_slots,
    waiting_slots,
    with_worker,
    worker,
)
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Pool, Worker
from videofleet_operator.domain.podview import Pod, PodState
from videofleet_operator.domain.pools import Place, plan_pool


def own(name: str = "p", **fields: Any) -> Pool:
    return pool(name, isolation="pod", **{"minWorkers": 0, "maxWorkers": 3, **fields})


def alone(name: str = "w1", **fields: Any) -> Worker:
    return worker(name, capacity=1, **fields)


def pod(ordinal: int = 0, incarnation: int = 0, **fields: Any) -> Pod:
    base = Pod(f"p-{ordinal}-{incarnation}", ordinal, incarnation, PodState.READY, NOW - 1000, idle_since=NOW - 1000)
    return replace(base, **fields)


def busy(ordinal: int, **fields: Any) -> Pod:
    return pod(ordinal, used=1, spent=True, idle_since=None, **fields)


class TestPods:
    @pytest.mark.parametrize(
        ("spec", "pods", "waiting", "desired"),
        [
            ({}, [], [], 0),
            ({}, [], [1, 1], 2),
            ({}, [], [1] * 9, 3),
            ({}, [busy(0)], [1], 2),
            ({}, [busy(0)], [], 1),
            ({"minWorkers": 2}, [], [], 2),
            ({"minWorkers": 2}, [busy(0)], [], 2),
            ({"minWorkers": 1, "capacityPerWorker": 16}, [busy(0)], [1, 1], 3),
            ({"minWorkers": 2}, [pod(0, spent=True)], [], 2),
        ],
    )
    def test_there_are_as_many_as_jobs(
        self, spec: dict[str, Any], pods: list[Pod], waiting: list[int], desired: int
    ) -> None:
        assert plan_pool(own(**spec), pods, waiting, NOW).desired == desired

    def test_one_that_had_its_job_is_made_anew_for_the_next(self) -> None:
        made = plan_pool(own(), [pod(0, 4, spent=True, idle_since=NOW), busy(1)], [1], NOW)
        assert (made.create, made.delete) == ((Place(0, 5),), ("p-0-4",))

    def test_one_that_had_its_job_goes_at_once_if_nobody_waits(self) -> None:
        made = plan_pool(own(scaleDownDelay=300), [pod(0, spent=True, idle_since=NOW), busy(1)], [], NOW)
        assert (made.create, made.delete) == ((), ("p-0-0",))

    def test_a_spare_that_had_its_job_is_replaced_by_a_fresh_one(self) -> None:
        made = plan_pool(own(minWorkers=1), [pod(0, spent=True, idle_since=NOW)], [], NOW)
        assert (made.create, made.delete) == ((Place(0, 1),), ("p-0-0",))

    def test_a_fresh_spare_is_kept_for_a_while(self) -> None:
        made = plan_pool(own(scaleDownDelay=300), [pod(0, idle_since=NOW - 299), busy(1)], [], NOW)
        assert (made.delete, made.wake) == ((), NOW + 1)

    def test_a_pod_with_its_job_stays(self) -> None:
        made = plan_pool(own(), [busy(0)], [], NOW)
        assert (made.create, made.delete) == ((), ())


class TestSlots:
    def test_a_job_takes_one_worker_whatever_its_slots(self) -> None:
        heavy = job("heavy", record(Phase.INPROGRESS, worker=assigned(alone())), slots=40)
        waits = job("waits", record(Phase.AWAITING, reason=Reason.WORKERS_FULL), slots=40)
        now = snapshot([heavy, waits], [alone(spent=True)], [own(capacityPerWorker=16)])
        assert used_slots(now) == {"id-w1": 1}
        assert waiting_slots(now) == {"default/p": [1]}

    def test_the_maximum_is_a_number_of_jobs(self) -> None:
        waiting = [job(name, record(Phase.AWAITING, reason=Reason.WORKERS_FULL)) for name in "abcd"]
        pools = [own("p", maxWorkers=2), own("q")]
        assert waiting_slots(snapshot(waiting, pools=pools)) == {"default/p": [1, 1], "default/q": [1, 1]}


class TestPlacing:
    def test_jobs_never_share_a_worker(self) -> None:
        before = snapshot([job("a"), job("b", slots=20)], [alone("w1"), alone("w2")], [own()])
        after, _ = settled(before)
        workers = [each.record.worker for each in after.jobs.values()]
        assert {each.name for each in workers if each} == {"w1", "w2"}

    def test_a_worker_that_has_had_its_job_gets_no_other(self) -> None:
        after, _ = settled(snapshot([job("a")], [alone(spent=True)], [own()]))
        waiting = after.jobs["a"].record
        assert (waiting.phase, waiting.reason) == (Phase.AWAITING, Reason.WORKERS_FULL)
        assert waiting.message == "all 1 worker of 1 matching pool is full (1 of 1 slots)"
        assert waiting_slots(after) == {"default/p": [1]}
        fresh, _ = settled(with_worker(after, alone("w2")))
        placed = fresh.jobs["a"].record
        assert placed.phase is Phase.STARTING
        assert placed.worker is not None
        assert placed.worker.name == "w2"

    def test_an_edited_job_starts_in_another_pod(self) -> None:
        runs = job("a", record(Phase.INPROGRESS, worker=assigned(alone())), digest="edited", generation=2)
        after, _ = settled(snapshot([runs], [alone(spent=True)], [own()]))
        assert after.jobs["a"].record.phase is Phase.AWAITING

    def test_a_disconnected_job_comes_back_to_its_own_pod(self) -> None:
        lost = job("a", record(Phase.DISCONNECTED, worker=assigned(alone()), first_frame=NOW - 5))
        after, _ = settled(snapshot([lost], [alone(spent=True)], [own()]))
        assert after.jobs["a"].record.phase is Phase.INPROGRESS
        assert after.jobs["a"].record.epoch == lost.record.epoch

    def test_its_slots_never_fit_nowhere(self) -> None:
        """What is too large for a shared worker has all of one here."""
        large = snapshot([job("a", slots=500)], [alone()], [own()])
        assert settled(large)[0].jobs["a"].record.phase is Phase.STARTING
        shared = snapshot([job("a", slots=500)], [worker()], [pool()])
        assert settled(applied(shared, {}))[0].jobs["a"].record.reason is Reason.NEVER_FITS
