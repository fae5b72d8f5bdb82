"""Workers that failed a job are passed over, but never for long and never all of them."""

from dataclasses import replace

import pytest

from tests.support.domain import NOW, applied, assigned, context, failed, job, pool, record, settled, snapshot, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain import exclusion, facts, observation
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Excluded, Job, Record, Snapshot
from videofleet_operator.domain.restore import from_status
from videofleet_operator.domain.status import Shown, to_status

P = Phase
OF_THE_SOURCE = {"AUTH", "NOT_FOUND", "TIMEOUT", "TLS", "NETWORK", "EMPTY", "FORBIDDEN"}


def excluded(*names: str) -> tuple[Excluded, ...]:
    return tuple(Excluded(name, f"id-{name}", f"instance-{name}") for name in names)


def names(of: Record) -> list[str]:
    return [each.name for each in of.excluded]


def due(*by: str, phase: Phase = P.NOT_STARTED, **fields: object) -> Job:
    """A job that these workers failed, and that may be tried again now."""
    return job(record=record(phase, excluded=excluded(*by), next_retry=NOW, **fields))


def after(now: Snapshot) -> Record:
    return settled(now)[0].jobs["j1"].record


def on(of: Record) -> str | None:
    return of.worker.name if of.worker else None


class TestWhoIsToBlame:
    @pytest.mark.parametrize("code", list(ErrorCode))
    @pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.DISCONNECTED])
    def test_only_an_error_that_the_worker_may_have_caused_excludes_it(self, phase: Phase, code: ErrorCode) -> None:
        result = advance(record(phase), facts.Failed(3, code, "it broke", None), context(), NOW)
        assert names(result) == ([] if code in OF_THE_SOURCE else ["w1"])

    def test_a_refusal_excludes(self) -> None:
        result = advance(record(P.STARTING), facts.Refused(3, ErrorCode.BAD_PARAMETER, "no"), context(), NOW)
        assert (result.phase, names(result)) == (P.MISCONFIGURED, ["w1"])

    def test_a_worker_that_says_nothing_until_the_start_times_out_is_excluded(self) -> None:
        result = advance(record(P.STARTING), facts.StartTimedOut("too late"), context(), NOW)
        assert (result.phase, names(result)) == (P.NOT_STARTED, ["w1"])

    def test_three_at_a_time_the_oldest_gives_way(self) -> None:
        before = record(P.STARTING, worker=assigned(worker("w4")), excluded=excluded("w1", "w2", "w3"))
        result = advance(before, facts.Failed(3, ErrorCode.INTERNAL, "x", None), context(), NOW)
        assert names(result) == ["w2", "w3", "w4"]

    def test_a_worker_that_fails_again_is_named_once_with_its_new_process(self) -> None:
        again = replace(assigned(), instance="another")
        assert exclusion.with_worker(excluded("w1", "w2"), again) == (
            *excluded("w2"),
            Excluded("w1", "id-w1", "another"),
        )

    @pytest.mark.parametrize("fact", [facts.WorkerGone("x"), facts.WorkerSilent("x"), facts.WorkerCrashed("x")])
    def test_losing_a_worker_excludes_nobody(self, fact: facts.Fact) -> None:
        assert not advance(record(P.INPROGRESS), fact, context(), NOW).excluded

    @pytest.mark.parametrize("fact", [facts.Disabled(), facts.SpecChanged()])
    def test_an_edit_clears(self, fact: facts.Fact) -> None:
        assert not advance(record(P.NOT_STARTED, excluded=excluded("w1")), fact, context(), NOW).excluded

    def test_it_survives_a_failover(self) -> None:
        before = record(P.NOT_STARTED, excluded=excluded("w1", "w2"))
        assert from_status(to_status(job(), before, Shown(), None, NOW)).excluded == before.excluded


class TestPlacement:
    @pytest.mark.acceptance("F57")
    @pytest.mark.parametrize("phase", [P.NOT_STARTED, P.MISCONFIGURED])
    def test_another_worker_is_tried(self, phase: Phase) -> None:
        """By its name and load the first would have been chosen."""
        result = after(snapshot([due("w1", phase=phase)], [worker("w1"), worker("w2")]))
        assert (result.phase, on(result), names(result)) == (P.STARTING, "w2", ["w1"])

    def test_it_holds_for_the_one_job_only(self) -> None:
        now = snapshot([due("w1"), job("j2", record=record(P.AWAITING))], [worker("w1"), worker("w2", capacity=1)])
        placed = settled(now)[0].jobs
        assert (on(placed["j1"].record), on(placed["j2"].record)) == ("w2", "w1")

    @pytest.mark.acceptance("A6")
    def test_when_all_were_tried_all_may_be_tried_again(self) -> None:
        result = after(snapshot([due("w1", "w2")], [worker("w1"), worker("w2")]))
        assert (result.phase, on(result), names(result)) == (P.STARTING, "w1", [])

    def test_the_only_worker_is_tried_again_in_one_write(self) -> None:
        now = snapshot([due("w1")], [worker("w1")])
        quiet, plans = settled(now)
        assert (len(plans), on(quiet.jobs["j1"].record), names(quiet.jobs["j1"].record)) == (1, "w1", [])

    def test_a_worker_of_a_pool_that_does_not_match_is_none_that_was_not_tried(self) -> None:
        pools = [pool(), pool("q", jobLabels={"site": "berlin"})]
        now = snapshot([due("w1")], [worker("w1"), worker("w2", "default/q")], pools)
        assert on(after(now)) == "w1"

    def test_another_process_in_the_pod_is_not_excluded(self) -> None:
        now = snapshot([due("w1")], [worker("w1", instance="another", capacity=4), worker("w2", capacity=2)])
        result = after(now)
        assert (on(result), names(result)) == ("w1", [])

    def test_a_worker_that_is_gone_is_forgotten_with_the_next_start(self) -> None:
        result = after(snapshot([due("gone", "w1")], [worker("w1"), worker("w2")]))
        assert (on(result), names(result)) == ("w2", ["w1"])

    def test_a_full_fleet_is_told_as_such(self) -> None:
        others = [job(f"o{n}", record=record(P.INPROGRESS, worker=assigned(worker(f"w{n}")))) for n in (1, 2)]
        result = after(snapshot([due("w1"), *others], [worker("w1", capacity=1), worker("w2", capacity=1)]))
        assert (result.phase, result.reason, names(result)) == (P.AWAITING, Reason.WORKERS_FULL, ["w1"])


class TestOnlyTheExcludedHasRoom:
    def _waiting(self) -> Snapshot:
        other = job("other", record=record(P.INPROGRESS, worker=assigned(worker("w2"))))
        now = snapshot([due("w1"), other], [worker("w1"), worker("w2", capacity=1)])
        return settled(now)[0]

    def test_it_waits_with_a_reason_of_its_own(self) -> None:
        waiting = self._waiting()
        result = waiting.jobs["j1"].record
        assert (result.phase, result.reason) == (P.AWAITING, Reason.WORKERS_EXCLUDED)
        assert "worker w1 has room, but failed this job; 1 other worker of 1 matching pool has none" in result.message
        assert observation.next_time(waiting.jobs["j1"], result, None, NOW) == NOW + exclusion.PATIENCE

    def test_it_takes_the_other_as_soon_as_that_has_room(self) -> None:
        waiting = self._waiting()
        freed = replace(waiting, jobs={"j1": waiting.jobs["j1"]}, now=NOW + 5)
        assert on(after(freed)) == "w2"

    def test_it_is_tried_again_there_if_that_lasts(self) -> None:
        waiting = self._waiting()
        early = replace(waiting, now=NOW + exclusion.PATIENCE - 0.1)
        assert after(early).phase is P.AWAITING
        result = after(replace(waiting, now=NOW + exclusion.PATIENCE))
        assert (result.phase, on(result), names(result)) == (P.STARTING, "w1", [])


def test_three_workers_fail_one_job_in_turn() -> None:
    """From the first report to the last worker, with the back-off in between."""
    now = snapshot([job()], [worker(f"w{n}") for n in (1, 2, 3)])
    tried = []
    for _ in range(4):
        now = settled(now)[0]
        of = now.jobs["j1"].record
        assert of.worker is not None
        tried.append(of.worker.name)
        said = {"j1": failed(ErrorCode.INTERNAL, epoch=of.epoch)}
        workers = {key: replace(each, reports=said if key == of.worker.id else {}) for key, each in now.workers.items()}
        now = settled(replace(now, workers=workers))[0]
        now = applied(now, {}, after=400)
    assert sorted(tried[:3]) == ["w1", "w2", "w3"]
    assert tried[3] == "w1"
