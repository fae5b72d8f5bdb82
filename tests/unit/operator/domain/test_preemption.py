"""Who gives way to whom: stories of plans, where a pool has `preemption: lower`."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, applied, assigned, job, phases, pool, record, settled, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Job, Licence, Pool, Why, Worker
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.suspicion import ALONE_FROM

P = Phase
LOWER = pool(preemption="lower", capacityPerWorker=4)
W1, W2 = worker("w1", capacity=2), worker("w2", capacity=2)


def running(uid: str, on: Worker = W1, *, for_seconds: float = 60, **fields: Any) -> Job:
    began = NOW - for_seconds
    return job(uid, record(P.INPROGRESS, worker=assigned(on), first_frame=began, since=began), **fields)


def evicted(
    *jobs: Job, workers: tuple[Worker, ...] = (W1,), of: Pool = LOWER, licence: Licence | None = None
) -> set[str]:
    """Uids of the jobs that give way in one plan."""
    records = plan(snapshot(jobs, workers, [of], licence)).records
    return {uid for uid, after in records.items() if after.reason is Reason.PREEMPTED}


FULL = (running("old"), running("new", for_seconds=5))
URGENT = job("urgent", priority=5)


def test_the_newest_of_the_lowest_priority_gives_way() -> None:
    assert evicted(*FULL, URGENT) == {"new"}
    assert evicted(running("precious", for_seconds=1, priority=3), FULL[0], URGENT) == {"old"}


def test_it_goes_on_once_the_place_is_free() -> None:
    now, _ = settled(snapshot([*FULL, URGENT], [W1], [LOWER]))
    assert phases(now) == {"old": P.INPROGRESS, "new": P.AWAITING, "urgent": P.STARTING}
    victim = now.jobs["new"].record
    assert (victim.reason, victim.message) == (Reason.PREEMPTED, "gave its place to a job of priority 5 (urgent)")
    assert victim.since == NOW, "its waiting begins anew"


def test_who_gave_way_never_takes_the_place_back() -> None:
    now, _ = settled(snapshot([*FULL, URGENT], [W1], [LOWER]))
    for _ in range(5):
        now = applied(now, plan(now).records, after=10)
        assert phases(now)["urgent"] is P.STARTING
        assert phases(now)["new"] is P.AWAITING


def test_names_of_other_namespaces_are_not_told() -> None:
    shared = pool(preemption="lower", allowedNamespaces=["*"])
    made = plan(snapshot([*FULL, replace(URGENT, namespace="other")], [W1], [shared]))
    assert made.records["new"].message == "gave its place to a job of priority 5"


@pytest.mark.parametrize(
    ("of", "waiting"),
    [
        (pool(), URGENT),
        (LOWER, job("equal", priority=0)),
        (LOWER, job("less", priority=-1)),
        (LOWER, job("huge", priority=5, slots=4)),
        (LOWER, job("elsewhere", priority=5, workerSelector={"matchLabels": {"gpu": "yes"}})),
        (LOWER, job("unable", priority=5, analytics=[{"steps": [{"model": "faces"}]}])),
        (LOWER, job("no secret", priority=5, digest=None, problem=Why(Reason.SECRET_MISSING, "gone"))),
    ],
    ids=lambda value: value.uid,
)
def test_nobody_gives_way(of: Pool, waiting: Job) -> None:
    assert evicted(*FULL, waiting, of=of) == set()


def test_no_more_give_way_than_needed() -> None:
    assert evicted(*FULL, replace(URGENT, spec=job(slots=2, priority=5).spec)) == {"old", "new"}
    half = (running("small"), running("spare", for_seconds=2))
    big = worker("w1", capacity=4)
    heavy = running("heavy", big, slots=2, for_seconds=1)
    assert evicted(*half, heavy, job("two", slots=2, priority=5), workers=(big,)) == {"heavy"}


def test_what_is_not_needed_is_spared_although_it_comes_first() -> None:
    big = worker("w1", capacity=4)
    small, heavy = running("small", big, for_seconds=1), running("heavy", big, slots=3, for_seconds=50)
    assert evicted(small, heavy, job("three", slots=3, priority=5), workers=(big,)) == {"heavy"}


def test_all_victims_are_on_one_worker() -> None:
    jobs = [running("a1"), running("a2", priority=4), running("b1", W2, priority=1), running("b2", W2, priority=1)]
    assert evicted(*jobs, job("two", slots=2, priority=5), workers=(W1, W2)) == {"b1", "b2"}
    assert evicted(*jobs, job("one", priority=5), workers=(W1, W2)) == {"a1"}


def test_one_job_at_a_time_gets_a_place_in_a_pool() -> None:
    more = job("more", priority=4)
    now = snapshot([*FULL, URGENT, more], [W1], [LOWER])
    first = plan(now)
    assert [uid for uid, it in first.records.items() if it.reason is Reason.PREEMPTED] == ["new"]
    quiet, _ = settled(now)
    assert phases(quiet) == {"old": P.AWAITING, "new": P.AWAITING, "urgent": P.STARTING, "more": P.STARTING}


def test_the_licence_has_no_slot() -> None:
    roomy = worker("w1", capacity=4)
    assert evicted(*FULL, URGENT, workers=(roomy,), licence=Licence(2)) == {"new"}
    now, _ = settled(snapshot([*FULL, URGENT], [roomy], [LOWER], Licence(2)))
    assert phases(now) == {"old": P.INPROGRESS, "new": P.TOO_MANY_CAMERAS, "urgent": P.STARTING}


def test_what_takes_no_slot_of_the_licence_gives_none() -> None:
    roomy = worker("w1", capacity=4)
    free = running("file", roomy, for_seconds=1, source={"url": "https://files.example/a.mp4"})
    jobs = (FULL[0], free, URGENT)
    assert evicted(*jobs, workers=(roomy,), licence=Licence(1, count_recorded=False)) == {"old"}


@pytest.mark.parametrize(
    "licence",
    [
        Licence(5, Why(Reason.LICENCE_INVALID, "expired")),
        Licence(1),
        Licence(5, features=frozenset({"faces"})),
        Licence(0),
    ],
    ids=["not valid", "being shed", "does not cover the step", "nothing allowed"],
)
def test_a_place_that_the_licence_keeps_from_it_is_no_use(licence: Licence) -> None:
    assert evicted(*FULL, URGENT, licence=licence) == set()


def test_the_share_of_its_namespace_is_used_up() -> None:
    shared = pool(preemption="lower", namespaceShares=[{"namespace": "default", "max": 2}])
    roomy = worker("w1", capacity=4)
    other = replace(running("other", roomy, for_seconds=1), namespace="other")
    assert evicted(*FULL, other, URGENT, workers=(roomy,), of=shared) == {"new"}, "one of its own makes room for it"


def test_a_job_that_goes_alone_needs_a_whole_worker() -> None:
    suspect = job("suspect", record(P.AWAITING, suspicion=ALONE_FROM), priority=5)
    assert evicted(running("a"), running("b", W2), running("c", W2), suspect, workers=(W1, W2)) == {"a"}


def test_what_is_lost_or_ends_in_the_same_plan_does_not_give_way() -> None:
    leaving = running("leaving", for_seconds=1, enabled=False)
    lost = job("lost", record(P.DISCONNECTED, worker=assigned(W1)))
    assert evicted(leaving, lost, URGENT) == set()


def test_a_pod_that_one_job_had_is_no_place_for_another() -> None:
    isolated = pool(preemption="lower", isolation="pod", maxWorkers=1)
    mine = worker("w1", capacity=1)
    assert evicted(running("only", mine), URGENT, workers=(mine,), of=isolated) == set()
