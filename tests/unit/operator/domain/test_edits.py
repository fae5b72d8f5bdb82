"""What an edit of the spec, or of a Secret, means for the results that there are."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, applied, failed, job, record, report, settled, snapshot, with_worker, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_api.protocol import JobState
from videofleet_operator.domain.model import Job, Record, Snapshot, Why
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.restore import from_status
from videofleet_operator.domain.status import Shown, to_status

P = Phase
READING = Why(Reason.PENDING, "reading Secret cam")


def edited(now: Snapshot, **fields: Any) -> Snapshot:
    return replace(now, jobs={"j1": replace(now.jobs["j1"], **fields)})


def at_rest(now: Snapshot) -> Snapshot:
    return settled(now)[0]


def the_record(now: Snapshot) -> Record:
    return now.jobs["j1"].record


@pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.DISCONNECTED, P.INTERRUPTED, P.NOT_STARTED])
def test_an_edited_spec_begins_a_new_run(phase: Phase) -> None:
    before = job("j1", record(phase), digest="d2", generation=2)
    after = the_record(at_rest(snapshot([before], [worker()])))
    assert (after.phase, after.run, after.epoch, after.completed) == (P.STARTING, 2, 4, None)


@pytest.mark.parametrize("generation", [1, 2])
def test_changed_credentials_go_on_in_the_same_run(generation: int) -> None:
    """Their Secret was changed, or the spec names another one."""
    before = job("j1", record(P.INPROGRESS), digest="d2", run_digest="d1", generation=generation)
    after = the_record(at_rest(snapshot([before], [worker()])))
    assert (after.phase, after.run, after.epoch) == (P.STARTING, 1, 4)


@pytest.mark.parametrize("phase", [P.STARTING, P.INPROGRESS, P.DISCONNECTED, P.INTERRUPTED, P.DISABLED])
def test_another_source_in_the_same_secret_begins_a_new_run(phase: Phase) -> None:
    before = job("j1", record(phase), digest="d2", run_digest="d2")
    after = the_record(at_rest(snapshot([before], [worker()])))
    assert (after.phase, after.run, after.epoch) == (P.STARTING, 2, 4)
    assert after.run_digest == "d2"


@pytest.mark.parametrize(
    "problem", [Why(Reason.SECRET_MISSING, "create it"), Why(Reason.PENDING, "reading Secret cam")]
)
def test_a_secret_that_cannot_be_read_stops_no_running_stream(problem: Why) -> None:
    said = {"j1": report(first_frame=True)}
    running = job("j1", record(P.INPROGRESS, reason=Reason.RUNNING), digest=None, problem=problem)
    assert plan(snapshot([running], [worker(reports=said)])).records == {}


def tuned(phase: Phase = P.INPROGRESS, **fields: Any) -> Job:
    """A job whose thresholds were edited."""
    before = record(phase, settings="s1", reason=Reason.RUNNING)
    return job("j1", before, settings="s2", generation=2, **fields)


def test_new_settings_are_in_force_when_the_worker_says_so() -> None:
    now = snapshot([tuned()], [worker(reports={"j1": report(first_frame=True, settings="s1")})])
    assert plan(now).records == {}, "neither a new epoch nor a word of a generation that is not in force"
    said = worker(reports={"j1": report(first_frame=True, settings="s2")})
    after = the_record(at_rest(with_worker(now, said)))
    assert after == replace(tuned().record, settings="s2", observed_generation=2)


def test_other_news_do_not_tell_of_settings_that_are_not_in_force() -> None:
    lost = report(state=JobState.RECONNECTING, first_frame=True, settings="s1", message="lost")
    after = the_record(at_rest(snapshot([tuned()], [worker(reports={"j1": lost})])))
    assert (after.reason, after.observed_generation) == (Reason.RECONNECTING, 1)


@pytest.mark.parametrize("phase", [P.INTERRUPTED, P.NOT_STARTED, P.MISCONFIGURED, P.COMPLETED])
def test_new_settings_start_what_does_not_run(phase: Phase) -> None:
    after = the_record(at_rest(snapshot([tuned(phase)], [worker()])))
    assert (after.phase, after.epoch, after.settings, after.observed_generation) == (P.STARTING, 4, "s2", 2)


def test_settings_that_a_running_worker_refuses_end_where_a_new_epoch_has_them_refused() -> None:
    no_class: dict[str, Any] = {"code": ErrorCode.BAD_PARAMETER, "message": "no class persn"}
    refused = report(state=JobState.REFUSED, first_frame=True, settings="s1", **no_class)
    now = snapshot([tuned()], [worker(reports={"j1": refused})])
    again = at_rest(now)
    assert (the_record(again).phase, the_record(again).epoch) == (P.STARTING, 4)
    refused = report(epoch=4, state=JobState.REFUSED, **no_class)
    assert the_record(at_rest(with_worker(again, worker(reports={"j1": refused})))).phase is P.MISCONFIGURED


def test_settings_together_with_another_edit_are_a_new_epoch() -> None:
    after = the_record(at_rest(snapshot([tuned(digest="d2")], [worker()])))
    assert (after.phase, after.epoch, after.settings, after.observed_generation) == (P.STARTING, 4, "s2", 2)


def test_an_edit_that_no_worker_sees_keeps_everything() -> None:
    before = job("j1", record(P.INPROGRESS), generation=2)
    after = the_record(at_rest(snapshot([before], [worker()])))
    assert after == replace(before.record, observed_generation=2)


@pytest.mark.parametrize("phase", [P.AWAITING, P.TOO_MANY_CAMERAS])
def test_an_edit_of_what_waits_for_its_next_epoch_begins_a_new_run(phase: Phase) -> None:
    waiting = at_rest(snapshot([job("j1", record(phase), digest="d2", generation=2)]))
    assert (the_record(waiting).phase, the_record(waiting).run) == (P.AWAITING, 1)
    assert the_record(at_rest(with_worker(waiting, worker()))).run == 2


@pytest.mark.parametrize("enabled", [True, False])
def test_an_edit_of_what_is_disabled_begins_a_new_run(enabled: bool) -> None:
    edit = job("j1", record(P.DISABLED), digest="d2", generation=2, enabled=enabled)
    off = at_rest(snapshot([edit], [worker()]))
    on = edited(off, spec=job().spec, generation=3)
    assert (the_record(at_rest(on)).phase, the_record(at_rest(on)).run) == (P.STARTING, 2)


def test_off_and_on_goes_on_in_the_same_run() -> None:
    off = at_rest(snapshot([job("j1", record(P.INPROGRESS), enabled=False, generation=2)], [worker()]))
    assert the_record(off).phase is P.DISABLED
    assert the_record(at_rest(edited(off, spec=job().spec, generation=3))).run == 1


def test_an_edit_is_seen_although_the_worker_reports_a_failure_at_the_same_time() -> None:
    said = failed(ErrorCode.NETWORK, first_frame=True)
    running = job("j1", record(P.INPROGRESS), digest="d2", generation=2)
    now = snapshot([running], [worker(reports={"j1": said})])
    made = plan(now)
    assert (made.records["j1"].phase, made.records["j1"].observed_generation) == (P.INTERRUPTED, 2)
    assert the_record(at_rest(applied(now, made.records))).run == 2


def reading(generation: int = 2) -> Job:
    """A running job whose edit names a Secret that is not read yet."""
    return job("j1", record(P.INPROGRESS), digest=None, run_digest=None, problem=READING, generation=generation)


def test_an_edit_is_seen_although_its_secret_is_still_being_read() -> None:
    now = at_rest(snapshot([reading()], [worker(reports={"j1": report(state=JobState.RUNNING, first_frame=True)})]))
    assert the_record(now).phase is P.INPROGRESS
    after = the_record(at_rest(edited(now, digest="d2", run_digest="d2", problem=None)))
    assert (after.phase, after.run) == (P.STARTING, 2)


def test_an_edit_that_turns_out_to_change_nothing_keeps_the_run() -> None:
    now = at_rest(snapshot([reading()], [worker()]))
    after = the_record(at_rest(edited(now, digest="d1", run_digest="d1", problem=None)))
    assert (after.phase, after.run, after.epoch, after.completed) == (P.INPROGRESS, 1, 3, None)


def test_a_spec_that_was_invalid_for_a_while_keeps_the_run() -> None:
    invalid = Why(Reason.INVALID_SPEC, "spec.source: x")
    now = at_rest(snapshot([job("j1", record(P.INPROGRESS), digest=None, problem=invalid, generation=2)], [worker()]))
    mended = edited(now, digest="d1", run_digest="d1", problem=None, generation=3)
    assert the_record(at_rest(mended)).run == 1
    other = edited(now, digest="d2", run_digest="d2", problem=None, generation=3)
    assert the_record(at_rest(other)).run == 2


def test_a_new_leader_knows_from_status_that_the_run_is_over() -> None:
    waiting = at_rest(snapshot([job("j1", record(P.INPROGRESS), digest="d2", generation=2)]))
    before = waiting.jobs["j1"]
    read = from_status(to_status(before, before.record, Shown(), None, NOW))
    restored = with_worker(edited(waiting, record=read), worker())
    assert the_record(at_rest(restored)).run == 2
