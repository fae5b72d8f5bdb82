"""Rules of the lifecycle, one fact at a time."""

from typing import Any

import pytest

from tests.support.domain import NOW, assigned, context, record, worker
from videofleet_api.codes import REASON_OF_ERROR, ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain import facts
from videofleet_operator.domain.backoff import exhausted, retry_at, retry_wait
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Record, Why

WHY = Why(Reason.WORKERS_FULL, "all are full")
PLACED = facts.Placed(assigned(worker("w2")), "d2")
P = Phase


def after(before: Record, fact: Fact, now: float = NOW, **settings: Any) -> Record:
    return advance(before, fact, context(**settings), now)


def failure(code: ErrorCode = ErrorCode.NETWORK, first_frame: float | None = None) -> facts.Failed:
    return facts.Failed(3, code, "it broke", first_frame)


class TestPlacing:
    def test_a_new_job_is_placed_in_one_record(self) -> None:
        result = after(Record(), PLACED)
        assert (result.phase, result.epoch, result.run, result.transitions) == (P.STARTING, 1, 1, 1)
        assert (result.worker, result.spec_digest, result.since) == (PLACED.worker, "d2", NOW)
        assert (result.reason, result.restarts, result.observed_generation) == (Reason.ASSIGNED, 0, 1)

    def test_each_placement_is_a_new_epoch(self) -> None:
        result = after(record(P.AWAITING), PLACED)
        assert (result.epoch, result.run, result.restarts) == (4, 1, 1)

    def test_a_pass_that_was_completed_is_followed_by_a_new_run(self) -> None:
        assert after(record(P.AWAITING, completed=NOW - 5), PLACED).run == 2

    @pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.COMPLETED, P.INTERRUPTED, P.DISABLED])
    def test_nothing_is_placed_from_here(self, phase: Phase) -> None:
        before = record(phase, next_retry=NOW - 1)
        assert after(before, PLACED) is before

    @pytest.mark.parametrize("phase", [P.NOT_STARTED, P.MISCONFIGURED])
    def test_a_back_off_is_waited(self, phase: Phase) -> None:
        early, due = record(phase, next_retry=NOW + 1), record(phase, next_retry=NOW)
        assert after(early, PLACED) is early
        assert after(due, PLACED).phase is P.STARTING

    def test_counts_in_a_message_do_not_make_a_waiting_job_write(self) -> None:
        first = after(Record(), facts.NoPlace(WHY))
        assert (first.reason, first.message, first.since) == (WHY.reason, WHY.message, NOW)
        assert after(first, facts.NoPlace(Why(Reason.WORKERS_FULL, "all 3 are full"))) is first

    def test_another_reason_is_written_without_a_transition(self) -> None:
        first = after(Record(), facts.NoPlace(WHY))
        second = after(first, facts.NoPlace(Why(Reason.NO_MATCHING_POOL, "no pool")))
        assert (second.reason, second.transitions, second.since) == (Reason.NO_MATCHING_POOL, 0, NOW)

    def test_that_a_stream_was_shed_stays_its_reason(self) -> None:
        before = record(P.TOO_MANY_CAMERAS, reason=Reason.SHED)
        assert after(before, facts.NoLicence(Why(Reason.LICENCE_EXHAUSTED, "5 of 5"))) is before
        assert after(before, facts.NoLicence(Why(Reason.LICENCE_INVALID, "expired"))).reason is Reason.LICENCE_INVALID


class TestReports:
    @pytest.mark.parametrize("epoch", [2, 4])
    @pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.DISCONNECTED])
    def test_another_epoch_changes_nothing(self, phase: Phase, epoch: int) -> None:
        before = record(phase)
        for fact in (
            facts.FirstFrame(epoch, NOW),
            facts.Ended(epoch, NOW),
            facts.Failed(epoch, ErrorCode.NETWORK, "x", NOW),
            facts.Refused(epoch, ErrorCode.CODEC, "x"),
            facts.Reconnecting(epoch, "x"),
        ):
            assert after(before, fact) is before

    @pytest.mark.parametrize("phase", [each for each in P if each not in (P.STARTING, P.INPROGRESS, P.DISCONNECTED)])
    def test_a_late_report_of_a_job_that_is_nowhere_changes_nothing(self, phase: Phase) -> None:
        before = record(phase)
        assert after(before, facts.Ended(3, NOW)) is before
        assert after(before, failure()) is before

    @pytest.mark.parametrize("code", list(ErrorCode))
    def test_an_error_before_the_first_frame(self, code: ErrorCode) -> None:
        result = after(record(P.STARTING), failure(code))
        configuration = code in ("CODEC", "UNSUPPORTED", "BAD_PARAMETER", "UNKNOWN_MODEL")
        assert result.phase is (P.MISCONFIGURED if configuration else P.NOT_STARTED)
        assert result.reason is REASON_OF_ERROR[code]
        assert (result.attempt, result.worker, result.epoch) == (1, None, 3)
        assert result.last_error is not None
        assert result.last_error.code == code

    @pytest.mark.parametrize("code", list(ErrorCode))
    def test_an_error_after_the_first_frame(self, code: ErrorCode) -> None:
        result = after(record(P.INPROGRESS), failure(code))
        assert (result.phase, result.reason) == (P.INTERRUPTED, REASON_OF_ERROR[code])

    def test_a_failure_whose_first_frame_was_missed_takes_two_steps(self) -> None:
        fact = failure(first_frame=NOW - 1)
        running = after(record(P.STARTING), fact)
        assert (running.phase, running.first_frame) == (P.INPROGRESS, NOW - 1)
        assert after(running, fact).phase is P.INTERRUPTED

    @pytest.mark.parametrize("phase", [P.STARTING, P.DISCONNECTED])
    def test_an_end_without_a_frame_is_an_empty_source(self, phase: Phase) -> None:
        result = after(record(phase), facts.Ended(3, None))
        assert (result.phase, result.reason) == (P.NOT_STARTED, Reason.SOURCE_EMPTY)

    def test_an_end_whose_first_frame_was_missed_completes(self) -> None:
        result = after(record(P.STARTING), facts.Ended(3, NOW - 1))
        assert (result.phase, result.first_frame, result.completed) == (P.COMPLETED, NOW - 1, NOW)

    def test_reconnecting_keeps_the_phase_and_its_first_message(self) -> None:
        first = after(record(P.INPROGRESS), facts.Reconnecting(3, "attempt 1"))
        assert (first.phase, first.reason, first.message) == (P.INPROGRESS, Reason.RECONNECTING, "attempt 1")
        assert after(first, facts.Reconnecting(3, "attempt 2")) is first
        assert after(first, facts.Reconnected(3)).reason is Reason.RUNNING

    def test_credentials_never_reach_status(self) -> None:
        fact = facts.Failed(3, ErrorCode.AUTH, "rtsp://admin:hunter2@camera/1 refused", None)
        result = after(record(P.STARTING), fact)
        assert "hunter2" not in repr(result)

    def test_a_long_message_is_cut(self) -> None:
        result = after(record(P.STARTING), facts.Failed(3, ErrorCode.INTERNAL, "x" * 5000, None))
        assert result.last_error is not None
        assert len(result.message) == len(result.last_error.message) == 1024


class TestBackOff:
    def test_it_doubles_up_to_its_cap(self) -> None:
        waits = [retry_wait("u", n, P.NOT_STARTED, Reason.SOURCE_NETWORK, context().restart) for n in range(1, 12)]
        assert all(0.9 * 2**n <= wait <= 1.1 * 2**n for n, wait in enumerate(waits[:8]))
        assert all(240 <= wait <= 300 for wait in waits[9:])
        assert retry_wait("u", 10_000, P.NOT_STARTED, Reason.SOURCE_NETWORK, context().restart) <= 300

    def test_jobs_of_one_site_do_not_come_together(self) -> None:
        waits = {retry_wait(f"u{n}", 20, P.NOT_STARTED, Reason.SOURCE_NETWORK, context().restart) for n in range(100)}
        assert len(waits) > 90

    @pytest.mark.parametrize("settings", [{}, {"delay": 0.1, "max_delay": 5}])
    def test_wrong_credentials_are_tried_once_a_minute_at_most(self, settings: dict[str, float]) -> None:
        result = after(record(P.STARTING), failure(ErrorCode.AUTH), **settings)
        assert result.next_retry is not None
        assert result.next_retry >= NOW + 60

    def test_a_refused_configuration_is_tried_slowly(self) -> None:
        result = after(record(P.STARTING), facts.Refused(3, ErrorCode.BAD_PARAMETER, "no"))
        assert result.next_retry is not None
        assert NOW + 27 <= result.next_retry <= NOW + 33

    def test_an_end_waits_the_delay_and_clears_the_attempts(self) -> None:
        result = after(record(P.INPROGRESS, attempt=4), facts.Ended(3, None), delay=2)
        assert (result.next_retry, result.attempt, result.finished) == (NOW + 2, 0, False)

    def test_failures_after_stable_running_count_anew(self) -> None:
        before = record(P.INPROGRESS, attempt=5, since=NOW - 61)
        assert after(before, facts.StableRunning()).attempt == 0
        assert after(before, failure()).attempt == 1
        unstable = record(P.INPROGRESS, attempt=5, since=NOW - 59)
        assert after(unstable, facts.StableRunning()) is unstable
        assert after(unstable, failure()).attempt == 6

    def test_attempts_run_out(self) -> None:
        result = after(record(P.STARTING, attempt=1), failure(), max_attempts=2)
        assert (result.phase, result.reason, result.next_retry) == (P.NOT_STARTED, Reason.SOURCE_NETWORK, None)
        assert exhausted(result, context(max_attempts=2).restart)
        assert after(result, facts.RetryDue(), max_attempts=2) is result
        assert after(result, PLACED, max_attempts=2) is result

    def test_raised_attempts_free_a_job_that_had_given_up(self) -> None:
        result = after(record(P.STARTING, attempt=1), failure(), max_attempts=2)
        assert retry_at(result, context(max_attempts=3).restart) == result.since
        assert after(result, PLACED, max_attempts=3).phase is P.STARTING

    @pytest.mark.acceptance("F47")
    @pytest.mark.parametrize("phase", [P.COMPLETED, P.INTERRUPTED])
    def test_it_starts_again_when_the_wait_is_over(self, phase: Phase) -> None:
        before = record(phase, next_retry=NOW)
        assert after(before, facts.RetryDue(), now=NOW - 0.1) is before
        assert after(before, facts.RetryDue()).phase is P.AWAITING

    def test_a_clock_that_jumped_holds_no_job(self) -> None:
        before = record(P.NOT_STARTED, since=NOW + 5000, next_retry=NOW + 5000, reason=Reason.SOURCE_NETWORK)
        result = after(before, facts.ClockWentBack())
        assert (result.since, result.next_retry, result.transitions) == (NOW, NOW + 300, before.transitions)
        assert after(result, facts.ClockWentBack()) is result


class TestSinglePass:
    def test_an_end_is_final(self) -> None:
        result = after(record(P.INPROGRESS), facts.Ended(3, None), single_pass=True)
        assert (result.phase, result.finished, result.next_retry) == (P.COMPLETED, True, None)
        assert after(result, facts.RetryDue(), now=NOW + 1e6, single_pass=True) is result

    def test_an_error_after_the_first_frame_is_final(self) -> None:
        result = after(record(P.INPROGRESS), failure(), single_pass=True)
        assert (result.phase, result.finished, result.next_retry) == (P.INTERRUPTED, True, None)

    @pytest.mark.acceptance("A6")
    def test_an_error_before_the_first_frame_is_tried_again(self) -> None:
        result = after(record(P.STARTING), failure(), single_pass=True)
        assert (result.phase, result.finished) == (P.NOT_STARTED, False)
        assert result.next_retry is not None

    @pytest.mark.parametrize("ending", [facts.Ended(3, None), failure()], ids=["completed", "interrupted"])
    @pytest.mark.parametrize(
        "restart", [(facts.SpecChanged(),), (facts.Disabled(), facts.Enabled())], ids=["edited", "off and on"]
    )
    def test_it_runs_again_in_a_new_run(self, ending: Fact, restart: tuple[Fact, ...]) -> None:
        now = after(record(P.INPROGRESS), ending, single_pass=True)
        for fact in restart:
            now = after(now, fact, single_pass=True)
        assert now.phase is P.AWAITING
        started = after(now, PLACED, single_pass=True)
        assert (started.phase, started.run, started.finished, started.completed) == (P.STARTING, 2, False, None)


class TestWorkerLoss:
    @pytest.mark.parametrize("fact", [facts.WorkerSilent("silent"), facts.WorkerGone("gone")])
    @pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS])
    def test_worker_epoch_and_attempts_are_kept(self, phase: Phase, fact: Fact) -> None:
        before = record(phase, attempt=2)
        result = after(before, fact)
        assert result.phase is P.DISCONNECTED
        assert (result.worker, result.epoch, result.attempt) == (before.worker, before.epoch, 2)

    @pytest.mark.parametrize(
        ("first_frame", "reported", "phase"),
        [(None, None, P.STARTING), (None, NOW, P.INPROGRESS), (NOW - 5, None, P.INPROGRESS)],
    )
    def test_the_same_instance_goes_on(self, first_frame: float | None, reported: float | None, phase: Phase) -> None:
        before = record(P.DISCONNECTED, first_frame=first_frame)
        result = after(before, facts.WorkerBack("instance-w1", reported))
        assert (result.phase, result.epoch, result.worker) == (phase, 3, before.worker)

    def test_another_instance_does_not(self) -> None:
        before = record(P.DISCONNECTED)
        assert after(before, facts.WorkerBack("another", NOW)) is before

    @pytest.mark.parametrize(
        ("fact", "first_frame", "phase"),
        [
            (facts.Ended(3, NOW), None, P.COMPLETED),
            (facts.Ended(3, None), NOW - 5, P.COMPLETED),
            (failure(), None, P.NOT_STARTED),
            (failure(ErrorCode.CODEC), None, P.MISCONFIGURED),
            (failure(), NOW - 5, P.INTERRUPTED),
            (failure(first_frame=NOW), None, P.INTERRUPTED),
            (facts.Refused(3, ErrorCode.UNSUPPORTED, "x"), None, P.MISCONFIGURED),
        ],
    )
    def test_a_worker_that_came_back_with_an_outcome(self, fact: Fact, first_frame: float | None, phase: Phase) -> None:
        assert after(record(P.DISCONNECTED, first_frame=first_frame), fact).phase is phase

    def test_a_lost_pass_is_run_again_in_the_same_run(self) -> None:
        result = after(record(P.DISCONNECTED, attempt=2), PLACED)
        assert (result.phase, result.run, result.epoch, result.attempt) == (P.STARTING, 1, 4, 2)


class TestSpec:
    @pytest.mark.parametrize("phase", [each for each in P if each is not P.DISABLED])
    def test_disabled_from_any_phase(self, phase: Phase) -> None:
        result = after(record(phase, attempt=3, next_retry=NOW + 5), facts.Disabled())
        assert (result.phase, result.worker, result.next_retry, result.attempt) == (P.DISABLED, None, None, 0)

    @pytest.mark.parametrize("phase", [P.AWAITING, P.TOO_MANY_CAMERAS, P.DISABLED])
    def test_a_change_of_what_does_not_run_changes_nothing(self, phase: Phase) -> None:
        before = record(phase)
        assert after(before, facts.SpecChanged()) is before

    @pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.COMPLETED, P.MISCONFIGURED, P.DISCONNECTED])
    def test_a_change_starts_anew(self, phase: Phase) -> None:
        result = after(record(phase, attempt=5), facts.SpecChanged())
        assert (result.phase, result.reason, result.attempt) == (P.AWAITING, Reason.SPEC_CHANGED, 0)
        assert result.worker is None

    def test_a_slow_start_is_an_attempt(self) -> None:
        result = after(record(P.STARTING), facts.StartTimedOut("no first frame within 120 seconds"))
        assert (result.phase, result.reason, result.attempt) == (P.NOT_STARTED, Reason.START_TIMEOUT, 1)
