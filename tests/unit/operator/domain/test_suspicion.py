"""A job that crashes workers: first it is suspected, then alone, then given up."""

from dataclasses import replace

import pytest

from tests.support.domain import (
    NOW,
    applied,
    assigned,
    context,
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
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain import facts, observation, suspicion
from videofleet_operator.domain.backoff import retry_at
from videofleet_operator.domain.conditions import conditions
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Job, Opening, Record, Snapshot
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.restore import from_status
from videofleet_operator.domain.status import Shown, to_status

P = Phase
CRASH = facts.WorkerCrashed("the process of worker w1 ended")


def after(before: Record, fact: facts.Fact, now: float = NOW) -> Record:
    return advance(before, fact, context(), now)


def running(uid: str, on: str = "w1", suspicion: int = 0, **fields: object) -> Job:
    return job(uid, record(P.INPROGRESS, worker=assigned(worker(on)), suspicion=suspicion, **fields))


def suspect(uid: str = "suspect", suspicion: int = 2) -> Job:
    """It has waited longest."""
    return job(uid, record(P.AWAITING, suspicion=suspicion, since=NOW - 200))


class TestWhatCounts:
    """`crashed` and so on are what the operator sees of the pod that runs two jobs."""

    @pytest.mark.parametrize(
        ("seen", "suspicion"),
        [
            ({"instance": "another"}, 1),
            ({"died": True, "connected": False, "instance": None}, 1),
            ({"died": True, "connected": False, "leaving": True}, 1),
            ({"died": True}, 0),
            ({"leaving": True, "connected": False}, 0),
            ({"instance": "another", "leaving": True}, 0),
            ({"connected": False, "silent_for": 60.0}, 0),
        ],
        ids=[
            "another process in the pod",
            "its container waits for its restart",
            "the pod has failed",
            "it answers, so what the pod says is old",
            "the pod is deleted, or its node lost",
            "it ended while its pod was taken away",
            "it is silent",
        ],
    )
    def test_only_a_process_that_died_by_itself(self, seen: dict[str, object], suspicion: int) -> None:
        jobs = [running("j1"), job("j2", record(P.STARTING)), running("j3", on="w2")]
        now = snapshot(jobs, [worker("w1", **seen), worker("w2")])
        left = settled(now)[0].jobs
        assert [left[uid].record.suspicion for uid in ("j1", "j2", "j3")] == [suspicion, suspicion, 0]
        assert all(each.record.attempt == 0 for each in left.values()), "it is nobody's attempt"

    def test_a_pod_that_is_gone_is_no_crash(self) -> None:
        left = settled(snapshot([running("j1")], [worker("w2")]))[0].jobs["j1"].record
        assert (left.suspicion, left.phase) == (0, P.STARTING)

    def test_it_counts_once_however_often_it_is_seen(self) -> None:
        once = after(record(P.INPROGRESS), CRASH)
        assert (once.phase, once.reason, once.suspicion) == (P.DISCONNECTED, Reason.WORKER_CRASHED, 1)
        assert after(once, CRASH) is once

    def test_a_worker_that_was_silent_before_it_was_seen_to_have_crashed(self) -> None:
        silent = after(record(P.INPROGRESS), facts.WorkerSilent("silent"))
        crashed = after(silent, CRASH)
        assert (crashed.phase, crashed.reason, crashed.suspicion) == (P.DISCONNECTED, Reason.WORKER_CRASHED, 1)
        assert after(crashed, CRASH) is crashed

    def test_a_crash_while_no_operator_was_there_is_seen_by_the_next(self) -> None:
        written = to_status(running("j1", suspicion=1), running("j1", suspicion=1).record, Shown(), None, NOW)
        restored = job("j1", from_status(written))
        left = settled(snapshot([restored], [worker("w1", instance="another")]))[0].jobs["j1"].record
        assert left.suspicion == 2

    @pytest.mark.parametrize("phase", [each for each in P if each not in (P.STARTING, P.INPROGRESS, P.DISCONNECTED)])
    def test_a_job_that_was_nowhere_is_not_suspected(self, phase: Phase) -> None:
        before = record(phase)
        assert after(before, CRASH) is before

    def test_jobs_of_a_crashed_worker_do_not_wait_for_it(self) -> None:
        dead = worker("w1", died=True, connected=False, silent_for=3.0)
        left = settled(snapshot([running("j1")], [dead, worker("w2")]))[0].jobs["j1"].record
        assert (left.phase, left.worker) == (P.STARTING, assigned(worker("w2")))


class TestAlone:
    def test_it_goes_to_an_empty_worker_and_nobody_joins_it(self) -> None:
        jobs = [running("j1"), suspect(), *(job(f"new{n}") for n in range(4))]
        placed = settled(snapshot(jobs, [worker("w1", capacity=8), worker("w2", capacity=8)]))[0].jobs
        places = {uid: each.record.worker.name for uid, each in placed.items() if each.record.worker}
        assert places.pop("suspect") == "w2"
        assert set(places.values()) == {"w1"}

    def test_one_suspicion_is_not_enough(self) -> None:
        placed = settled(snapshot([running("j1"), suspect(suspicion=1)], [worker("w1")]))[0]
        assert placed.jobs["suspect"].record.phase is P.STARTING

    def test_without_an_empty_worker_it_waits_with_a_reason(self) -> None:
        now = settled(snapshot([running("j1"), suspect()], [worker("w1")]))[0]
        waits = now.jobs["suspect"].record
        assert (waits.phase, waits.reason) == (P.AWAITING, Reason.NO_EMPTY_WORKER)
        assert "only alone on a worker, and none of 1 worker of 1 matching pool is empty" in waits.message
        left = settled(replace(now, jobs={"suspect": now.jobs["suspect"]}))[0]
        assert left.jobs["suspect"].record.phase is P.STARTING

    def test_a_pool_that_may_grow_makes_a_worker_for_it(self) -> None:
        now = settled(snapshot([running("j1"), suspect()], [worker("w1")], [pool(maxWorkers=2, capacityPerWorker=4)]))[
            0
        ]
        assert waiting_slots(now) == {"default/p": [4]}

    def test_two_suspects_never_share(self) -> None:
        placed = settled(snapshot([suspect("s1"), suspect("s2")], [worker("w1"), worker("w2")]))[0].jobs
        assert {each.record.worker.id for each in placed.values() if each.record.worker} == {"id-w1", "id-w2"}

    def test_it_holds_the_whole_worker_also_after_a_failover(self) -> None:
        pools = [pool(capacityPerWorker=4)]
        now = snapshot([running("suspect", suspicion=2), job("new")], [worker("w1", capacity=4)], pools)
        assert settled(now)[0].jobs["new"].record.reason is Reason.WORKERS_FULL
        assert used_slots(now) == {"id-w1": 4}

    def test_once_trusted_it_is_joined_again(self) -> None:
        trusted = running("suspect", suspicion=2, since=NOW - suspicion.TRUSTED_AFTER)
        now = snapshot([trusted, job("new")], [worker("w1", capacity=4)])
        left = settled(now)[0].jobs
        assert left["suspect"].record.suspicion == 0
        assert left["new"].record.phase is P.STARTING


class TestTrust:
    def test_half_an_hour_of_running_clears(self) -> None:
        before = record(P.INPROGRESS, suspicion=2, since=NOW - 1800)
        assert after(before, facts.Trusted()).suspicion == 0
        assert after(before, facts.Trusted(), now=NOW - 1) == before

    def test_the_plan_wakes_for_it(self) -> None:
        it = running("j1", suspicion=1)
        assert observation.next_time(it, it.record, worker("w1"), NOW) == NOW - 10 + suspicion.TRUSTED_AFTER
        failed_before = replace(it.record, attempt=1)
        assert observation.next_time(it, failed_before, worker("w1"), NOW) == NOW - 10 + 60
        assert observation.next_time(it, failed_before, worker("w1"), NOW + 50) == NOW - 10 + suspicion.TRUSTED_AFTER

    def test_a_source_that_is_away_is_not_running(self) -> None:
        before = record(P.INPROGRESS, suspicion=2, since=NOW - 1800, reason=Reason.RECONNECTING)
        assert after(before, facts.Trusted()) is before

    def test_a_pass_that_reached_its_end_clears(self) -> None:
        assert after(record(P.INPROGRESS, suspicion=2), facts.Ended(3, NOW)).suspicion == 0

    @pytest.mark.parametrize("fact", [facts.Failed(3, ErrorCode.INTERNAL, "x", NOW), facts.WorkerGone("x")])
    def test_neither_an_error_nor_a_loss_clears(self, fact: facts.Fact) -> None:
        assert after(record(P.INPROGRESS, suspicion=2), fact).suspicion == 2


class TestGivenUp:
    def _convicted(self, **fields: object) -> Snapshot:
        """It crashed the worker that it had for itself; another would have room."""
        lone = job("j1", record(P.INPROGRESS, suspicion=2, **fields))
        return settled(snapshot([lone], [worker("w1", instance="another"), worker("w2")]))[0]

    def test_a_crash_alone_is_the_last(self) -> None:
        now = self._convicted()
        left = now.jobs["j1"]
        assert (left.record.phase, left.record.reason) == (P.INTERRUPTED, Reason.SUSPECTED_CRASH)
        assert "edit the spec, or set enabled to false and true" in left.record.message
        assert retry_at(left.record, left.spec.restart) is None
        assert (left.record.attempt, left.record.next_retry) == (0, None)
        told = {each.type: (each.status, each.reason) for each in conditions(left.record, left, [], NOW)}
        assert told["Stalled"] == told["Failed"] == ("True", "SuspectedCrash")
        assert plan(replace(now, now=NOW + 1e6)).records == {}

    def test_also_in_its_start(self) -> None:
        lone = job("j1", record(P.STARTING, suspicion=2))
        left = settled(snapshot([lone], [worker("w1", died=True, connected=False), worker("w2")]))[0].jobs["j1"]
        assert left.record.phase is P.INTERRUPTED

    def test_also_where_the_pod_is_taken_away_before_it_is_told(self) -> None:
        first = snapshot([job("j1", record(P.INPROGRESS, suspicion=2))], [worker("w1", instance="another")])
        lost = applied(first, plan(first).records)
        assert lost.jobs["j1"].record.phase is P.DISCONNECTED
        left = settled(replace(lost, workers={"id-w2": worker("w2")}))[0].jobs["j1"].record
        assert left.phase is P.INTERRUPTED

    def test_also_where_the_worker_was_silent_before_it_was_seen_to_have_crashed(self) -> None:
        lost = job("j1", record(P.DISCONNECTED, suspicion=2, reason=Reason.WORKER_SILENT))
        left = settled(snapshot([lost], [worker("w1", instance="another"), worker("w2")]))[0].jobs["j1"].record
        assert (left.phase, left.epoch) == (P.INTERRUPTED, 3)

    def test_losing_the_worker_otherwise_gives_up_nothing(self) -> None:
        left = settled(snapshot([running("j1", suspicion=2)], [worker("w2")]))[0].jobs["j1"].record
        assert (left.phase, left.suspicion) == (P.STARTING, 2)

    def test_an_edit_that_no_worker_is_told_tries_it_again(self) -> None:
        now = self._convicted()
        edited = replace(now.jobs["j1"], generation=2)
        left = settled(replace(now, jobs={"j1": edited}))[0].jobs["j1"].record
        assert (left.phase, left.suspicion) == (P.STARTING, 0)

    def test_an_edit_in_the_moment_of_the_crash_tries_it_again(self) -> None:
        lone = replace(job("j1", record(P.INPROGRESS, suspicion=2)), generation=2, digest="d2")
        left = settled(snapshot([lone], [worker("w1", instance="another")]))[0].jobs["j1"].record
        assert (left.phase, left.suspicion) == (P.STARTING, 0)

    def test_enabled_off_and_on_tries_it_again(self) -> None:
        now = self._convicted()
        for enabled in (False, True):
            spec = job(enabled=enabled).spec
            now = settled(replace(now, jobs={"j1": replace(now.jobs["j1"], spec=spec)}))[0]
        left = now.jobs["j1"].record
        assert (left.phase, left.suspicion) == (P.STARTING, 0)

    def test_a_schedule_that_closes_and_opens_does_not(self) -> None:
        now = self._convicted()
        for inside in (False, True):
            it = replace(now.jobs["j1"], opening=Opening(inside, NOW - 1, None))
            now = settled(replace(now, jobs={"j1": it}))[0]
            assert now.jobs["j1"].record.phase is P.INTERRUPTED

    def test_a_new_leader_gives_it_up_too(self) -> None:
        left = self._convicted().jobs["j1"]
        restored = from_status(to_status(left, left.record, Shown(), None, NOW))
        again = snapshot([replace(left, record=restored)], [worker("w1"), worker("w2")])
        assert plan(replace(again, now=NOW + 1e6)).records == {}


def test_from_the_first_crash_to_the_last() -> None:
    """One job crashes whatever runs it; its neighbour is suspected with it, and trusted in the end."""
    now = settled(snapshot([job("bad"), job("good")], [worker("w1")]))[0]
    for number in range(1, 3):
        now = settled(with_worker(now, worker("w1", instance=f"process-{number}")))[0]
    suspicions = {uid: each.record.suspicion for uid, each in now.jobs.items()}
    assert suspicions == {"bad": 2, "good": 2}
    phases = {uid: (each.record.phase, each.record.reason) for uid, each in now.jobs.items()}
    assert phases == {"bad": (P.STARTING, Reason.ASSIGNED), "good": (P.AWAITING, Reason.NO_EMPTY_WORKER)}
    now = settled(with_worker(now, worker("w1", instance="process-3")))[0]
    phases = {uid: (each.record.phase, each.record.reason) for uid, each in now.jobs.items()}
    assert phases == {"bad": (P.INTERRUPTED, Reason.SUSPECTED_CRASH), "good": (P.STARTING, Reason.ASSIGNED)}
