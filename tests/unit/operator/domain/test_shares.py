"""Shares of a pool between namespaces: whose turn it is, and who has had all it may have."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.support.domain import NOW, applied, assigned, job, phases, pool, record, settled, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Job, Pool
from videofleet_operator.domain.planner import plan

P = Phase


def shared(*entries: dict[str, Any], **fields: Any) -> Pool:
    return pool(allowedNamespaces=["*"], namespaceShares=list(entries), **fields)


def waiting(namespace: str, count: int, **fields: Any) -> list[Job]:
    """Jobs of a namespace that came one after the other, later ones after those of any namespace asked for before."""
    return [
        job(f"{namespace}{number}", namespace=namespace, created=NOW - 50 + number, **fields) for number in range(count)
    ]


def running(namespace: str, count: int) -> list[Job]:
    return [replace(each, record=record(P.INPROGRESS)) for each in waiting(namespace, count)]


def started(jobs: Sequence[Job], of: Pool, capacity: int) -> list[str]:
    records = plan(snapshot(jobs, [worker(capacity=capacity)], [of])).records
    return sorted(uid for uid, it in records.items() if it.phase is P.STARTING)


def test_without_shares_those_who_waited_longest_start() -> None:
    early = [replace(each, created=NOW - 90) for each in waiting("a", 4)]
    assert started([*early, *waiting("b", 4)], pool(allowedNamespaces=["*"]), 4) == ["a0", "a1", "a2", "a3"]


def test_equal_weights_share_evenly_whoever_came_first() -> None:
    early = [replace(each, created=NOW - 90) for each in waiting("a", 4)]
    assert started([*early, *waiting("b", 4)], shared({"namespace": "a"}), 4) == ["a0", "a1", "b0", "b1"]


def test_weights_count() -> None:
    jobs = [*waiting("a", 9), *waiting("b", 9)]
    assert started(jobs, shared({"namespace": "a", "weight": 3}), 8) == [*(f"a{n}" for n in range(6)), "b0", "b1"]


def test_what_runs_already_counts() -> None:
    jobs = [*running("a", 3), *waiting("a", 9)[3:], *waiting("b", 9)]
    assert started(jobs, shared({"namespace": "a"}), 6) == ["b0", "b1", "b2"]


def test_nobody_keeps_what_it_does_not_ask_for() -> None:
    assert started(waiting("a", 4), shared({"namespace": "b", "weight": 100}), 4) == ["a0", "a1", "a2", "a3"]


def test_priority_comes_before_any_share() -> None:
    jobs = [*running("a", 3), job("urgent", namespace="a", priority=1), *waiting("b", 3)]
    assert started(jobs, shared({"namespace": "a"}), 4) == ["urgent"]


def test_a_large_job_does_not_hold_up_the_rest_of_its_namespace() -> None:
    jobs = [job("large", namespace="a", slots=5, created=NOW - 90), *waiting("a", 2), *waiting("b", 2)]
    assert started(jobs, shared({"namespace": "a"}, capacityPerWorker=8), 4) == ["a0", "a1", "b0", "b1"]


def test_jobs_that_compete_for_another_pool_keep_their_places() -> None:
    other = pool("q", labels={"gpu": "yes"})
    elsewhere = job("elsewhere", workerSelector={"matchLabels": {"gpu": "yes"}}, created=NOW - 40)
    jobs = [*waiting("a", 2), elsewhere, *waiting("b", 2)]
    made = plan(snapshot(jobs, [], [shared({"namespace": "a"}), other]))
    assert list(made.waiting) == ["a0", "b0", "a1", "b1", "elsewhere"]


def test_a_namespace_holds_no_more_than_its_most() -> None:
    of = shared({"namespace": "a", "max": 2})
    now, _ = settled(snapshot(waiting("a", 4), [worker()], [of]))
    assert phases(now) == {"a0": P.STARTING, "a1": P.STARTING, "a2": P.AWAITING, "a3": P.AWAITING}
    held_back = now.jobs["a3"].record
    assert held_back.reason is Reason.NAMESPACE_SHARE_USED
    assert held_back.message == "namespace a holds 2 of the 2 slots that pool default/p gives it at most"


def test_where_another_pool_takes_it_a_full_share_is_no_hindrance() -> None:
    of, other = shared({"namespace": "a", "max": 1}), pool("q", allowedNamespaces=["*"])
    now, _ = settled(snapshot(waiting("a", 4), [worker(), worker("w2", of="default/q", capacity=2)], [of, other]))
    assert sorted(phases(now).values()) == [P.AWAITING, *[P.STARTING] * 3]
    assert next(each.record for each in now.jobs.values() if each.record.phase is P.AWAITING).message == (
        "all 1 worker of 1 matching pool is full (2 of 2 slots)"
    )


def test_who_lost_its_worker_gets_its_place_back_although_the_share_was_lowered() -> None:
    of = shared({"namespace": "a", "max": 1})
    lost = [
        job(uid, record(P.DISCONNECTED, worker=assigned(worker("gone"))), namespace="a") for uid in ("first", "second")
    ]
    now, _ = settled(snapshot(lost, [worker()], [of]))
    assert set(phases(now).values()) == {P.STARTING}


def test_the_message_of_a_used_share_is_not_rewritten_with_each_count() -> None:
    of = shared({"namespace": "a", "max": 2})
    now, _ = settled(snapshot(waiting("a", 4), [worker()], [of]))
    more = replace(now, pools={of.key: shared({"namespace": "a", "max": 1})})
    assert plan(more).records == {}
    assert applied(more, plan(more).records) == more
