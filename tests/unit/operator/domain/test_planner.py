"""Plans over several jobs: order, accounting, words, and when to look again."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.support.domain import (
    NOW,
    applied,
    assigned,
    job,
    phases,
    pool,
    record,
    report,
    settled,
    snapshot,
    with_worker,
    worker,
)
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Licence, Record, Why
from videofleet_operator.domain.planner import plan

P = Phase


def test_a_job_is_placed_at_first_sight() -> None:
    made = plan(snapshot([job(digest="abc")], [worker()]))
    written = made.records["j1"]
    assert (written.phase, written.transitions, written.observed_generation) == (P.STARTING, 1, 1)
    assert (written.worker, written.spec_digest) == (assigned(), "abc")


def test_the_order_of_starting() -> None:
    jobs = [
        job("late", created=NOW - 1),
        job("b", created=NOW - 5),
        job("a", created=NOW - 5),
        job("precious", created=NOW, priority=1),
    ]
    now = snapshot(jobs, [worker(capacity=3)])
    made = plan(now)
    assert {uid for uid, it in made.records.items() if it.phase is P.STARTING} == {"precious", "a", "b"}
    assert list(made.waiting) == ["late"]


def test_a_large_job_does_not_block_small_ones() -> None:
    jobs = [job("large", slots=3, created=NOW - 50), job("small")]
    made = plan(snapshot(jobs, [worker(capacity=2)]))
    assert {uid: it.phase for uid, it in made.records.items()} == {"large": P.AWAITING, "small": P.STARTING}


def test_so_many_start_at_once_as_can_be_written_soon() -> None:
    now = replace(snapshot([job(uid, created=NOW - 5) for uid in "abc"], [worker()]), starts=2)
    made = plan(now)
    assert {uid: it.phase for uid, it in made.records.items()} == {"a": P.STARTING, "b": P.STARTING}
    assert made.waiting["c"].reason is Reason.PENDING
    later = plan(replace(now, starts=0, now=NOW + 60))
    assert (later.records, later.wake) == ({}, None), "it is no use to plan again before something was written"
    (last,) = plan(applied(now, made.records)).records
    assert last == "c"


def test_nothing_is_written_twice() -> None:
    now, plans = settled(snapshot([job("a"), job("b", enabled=False), job("c", slots=20)], [worker()]))
    assert len(plans) == 1
    assert plan(now).records == {}


def test_what_a_plan_frees_the_next_gives_away() -> None:
    running = job("old", record(P.INPROGRESS), digest="d2")
    now = snapshot([running, job("new")], [worker(capacity=1)], licence=Licence(1))
    first = plan(now)
    assert {uid: it.phase for uid, it in first.records.items()} == {"old": P.AWAITING, "new": P.AWAITING}
    assert plan(applied(now, first.records)).records["new"].phase is P.STARTING


def test_the_licence_counts_what_is_lost_until_it_is_given_elsewhere() -> None:
    lost = job("lost", record(P.DISCONNECTED))
    silent = worker("w1", connected=False, silent_for=15.0)
    now = snapshot([lost, job("new")], [silent, worker("w2")], licence=Licence(1))
    made = plan(now)
    assert made.records["new"].phase is P.TOO_MANY_CAMERAS
    later = replace(now, now=NOW + 20)
    assert plan(later).records["lost"].phase is P.STARTING


def test_an_invalid_licence_stops_no_stream_and_starts_none() -> None:
    jobs = [job("runs", record(P.INPROGRESS)), job("waits")]
    expired = Licence(5, Why(Reason.LICENCE_INVALID, "the licence expired"))
    made = plan(snapshot(jobs, [worker()], licence=expired))
    assert "runs" not in made.records
    assert (made.records["waits"].phase, made.records["waits"].message) == (P.TOO_MANY_CAMERAS, "the licence expired")


def test_a_lowered_licence_sheds_one_stream_a_second() -> None:
    jobs = [job(f"j{n}", record(P.INPROGRESS, first_frame=NOW - n)) for n in range(4)]
    now = snapshot(jobs, [worker()], licence=Licence(1))
    shed_at: list[float] = []
    for _ in range(60):
        made = plan(now)
        shed_at += [now.now for it in made.records.values() if it.reason is Reason.SHED]
        now = applied(now, made.records, after=0.1)
    assert len(shed_at) == 3
    assert all(later - sooner >= 1 for sooner, later in pairwise(shed_at))
    assert phases(now)["j3"] is P.INPROGRESS


def test_a_missing_secret_is_told_and_heals() -> None:
    why = Why(Reason.SECRET_MISSING, "Secret cam is not there")
    now, _ = settled(snapshot([job(problem=why, digest=None)], [worker()]))
    waiting = now.jobs["j1"].record
    assert (waiting.phase, waiting.reason, waiting.message) == (P.AWAITING, why.reason, why.message)
    healed = replace(now, jobs={"j1": replace(now.jobs["j1"], problem=None, digest="d1")})
    assert plan(healed).records["j1"].phase is P.STARTING


@pytest.mark.parametrize(
    "problem", [Why(Reason.SECRET_MISSING, "gone"), Why(Reason.INVALID_SPEC, "spec.source: x"), None], ids=str
)
def test_what_goes_missing_later_stops_no_running_stream(problem: Why | None) -> None:
    running = job("j1", record(P.INPROGRESS), digest=None, problem=problem, generation=2)
    made = plan(snapshot([running], [worker()]))
    assert made.records["j1"] == replace(running.record, observed_generation=2)


def test_a_secret_that_is_being_read_costs_no_write() -> None:
    reading = Why(Reason.PENDING, "reading Secret cam")
    new = job("new", digest=None, problem=reading, created=NOW - 1)
    known = job("known", record(P.AWAITING, reason=Reason.SECRET_MISSING), digest=None, problem=reading)
    made = plan(snapshot([new, known], [worker()]))
    assert (made.records, made.wake) == ({}, NOW + 4)
    assert set(made.waiting) == {"new", "known"}


def test_a_secret_that_cannot_be_read_for_long_is_told() -> None:
    slow = job("slow", digest=None, problem=Why(Reason.PENDING, "reading Secret cam"), created=NOW - 5)
    assert plan(snapshot([slow], [worker()])).records["slow"].reason is Reason.PENDING


def test_counts_of_this_moment_are_in_the_plan_and_not_in_status() -> None:
    full = [job(f"r{n}", record(P.INPROGRESS)) for n in range(2)]
    now, _ = settled(snapshot([*full, job("x")], [worker(capacity=2)]))
    grown = with_worker(now, worker("w2", capacity=0))
    made = plan(grown)
    assert made.records == {}
    assert made.waiting["x"].message == "all 2 workers of 1 matching pool are full (2 of 2 slots)"


def test_a_new_leader_tries_to_reach_a_worker_before_it_gives_up_on_it() -> None:
    lost = job("j1", record(P.DISCONNECTED, since=NOW - 3600))
    unreached = worker("w1", connected=False, instance=None, silent_for=0.2)
    now = snapshot([lost], [unreached, worker("w2")])
    made = plan(now)
    assert (made.records, made.wake) == ({}, NOW + 9.8)
    never = with_worker(now, replace(unreached, silent_for=10.0))
    assert plan(never).records["j1"].phase is P.STARTING


def test_a_report_of_another_epoch_is_not_believed() -> None:
    it = job("j1", record(P.STARTING))
    other = worker(reports={"j1": report(epoch=2, first_frame=True)})
    assert plan(snapshot([it], [other])).records == {}


@pytest.mark.parametrize(
    ("before", "silent_for", "wake"),
    [
        (record(P.STARTING), 0.0, 10.0),
        (record(P.INPROGRESS, attempt=1, since=NOW - 58), 0.0, 2.0),
        (record(P.INPROGRESS), 4.0, 6.0),
        (record(P.DISCONNECTED, since=NOW - 25), 12.0, 5.0),
        (record(P.NOT_STARTED, next_retry=NOW + 7), 0.0, 7.0),
        (record(P.COMPLETED, next_retry=NOW + 1), 0.0, 1.0),
        (record(P.COMPLETED, finished=True), 0.0, None),
        (record(P.TOO_MANY_CAMERAS, reason=Reason.LICENCE_EXHAUSTED), 0.0, None),
    ],
    ids=lambda value: str(value.phase) if isinstance(value, Record) else None,
)
def test_when_to_look_again(before: Record, silent_for: float, wake: float | None) -> None:
    full = Licence(0) if before.phase is P.TOO_MANY_CAMERAS else Licence()
    made = plan(snapshot([job("j1", before)], [worker(silent_for=silent_for)], licence=full))
    assert made.wake == (None if wake is None else pytest.approx(NOW + wake))


def test_a_pool_that_is_not_there_has_no_workers() -> None:
    made = plan(snapshot([job()], [worker(of="default/q")], pools=[pool("p")]))
    assert made.records["j1"].reason is Reason.NO_READY_WORKER


def test_a_clock_that_went_back_is_written_once() -> None:
    ahead = record(P.NOT_STARTED, since=NOW + 9000, next_retry=NOW + 9000, reason=Reason.SOURCE_NETWORK)
    now, plans = settled(snapshot([job("j1", ahead)], [worker()]))
    assert len(plans) == 1
    assert now.jobs["j1"].record.next_retry == NOW + 300


def test_a_large_fleet_is_planned_in_little_time() -> None:
    """About 0.3 s on two slow cores; the bound only tells a plan that looks at every worker for every job."""
    workers = [worker(f"w{n}") for n in range(1000)]
    one = job("j")
    now = snapshot([replace(one, uid=f"j{n}") for n in range(10_000)], workers)
    began = time.process_time()
    made = plan(now)
    assert time.process_time() - began < 3
    assert len(made.records) == 10_000
