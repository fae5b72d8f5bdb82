"""What a phase is called in the reference interfaces, row by row."""

from typing import Any

import pytest

from videofleet_api.codes import Reason
from videofleet_api.conditions import Condition, ConditionStatus
from videofleet_api.phases import Phase
from videofleet_api.results import FinishReason
from videofleet_api.videojob import Statistics, Transition, VideoJobSpec, VideoJobStatus
from videofleet_gateway.phases import (
    Standing,
    StepStatus,
    StreamStatus,
    TaskStatus,
    logged_status,
    step_status,
    stream_status,
    task_status,
)

P, T, L, S = Phase, TaskStatus, StreamStatus, StepStatus
ONCE = {"single_pass": True}
OVER = {"over": True}
TIME = "2026-01-02T03:04:05.000006Z"

ROWS = [
    pytest.param(Standing(P.AWAITING), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="AWAITING"),
    pytest.param(Standing(P.STARTING), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="STARTING"),
    pytest.param(Standing(P.INPROGRESS), L.IN_PROGRESS, L.IN_PROGRESS, T.RUNNING, S.PROCESSING, id="INPROGRESS"),
    pytest.param(
        Standing(P.COMPLETED, **ONCE, **OVER), L.DONE, L.DONE, T.SUCCEEDED, S.COMPLETED, id="COMPLETED single_pass"
    ),
    pytest.param(Standing(P.COMPLETED), L.RESTART, L.PENDING, None, None, id="COMPLETED restarting"),
    pytest.param(Standing(P.INTERRUPTED), L.RESTART, L.PENDING, None, None, id="INTERRUPTED restarting"),
    pytest.param(
        Standing(P.INTERRUPTED, **ONCE, **OVER), L.FAILURE, L.FAILURE, T.FAILED, S.FAILED, id="INTERRUPTED single_pass"
    ),
    pytest.param(
        Standing(P.MISCONFIGURED, **ONCE), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="MISCONFIGURED others left"
    ),
    pytest.param(
        Standing(P.MISCONFIGURED, **ONCE, **OVER),
        L.FAILURE,
        L.FAILURE,
        T.FAILED,
        S.FAILED,
        id="MISCONFIGURED none left",
    ),
    pytest.param(
        Standing(P.MISCONFIGURED, stalled=True, **ONCE),
        *(L.FAILURE, L.FAILURE, T.PENDING, S.PROCESSING),
        id="MISCONFIGURED none left, tried again",
    ),
    pytest.param(Standing(P.TOO_MANY_CAMERAS), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="TOO_MANY_CAMERAS"),
    pytest.param(Standing(P.NOT_STARTED, **ONCE), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="NOT_STARTED"),
    pytest.param(Standing(P.DISCONNECTED), L.HANDLER_LOST, L.PENDING, T.RUNNING, S.PROCESSING, id="DISCONNECTED"),
    pytest.param(Standing(), L.PENDING, L.PENDING, T.PENDING, S.PROCESSING, id="no status yet"),
    pytest.param(
        Standing(P.NOT_STARTED, **ONCE, **OVER), L.FAILURE, L.FAILURE, T.FAILED, S.FAILED, id="NOT_STARTED final"
    ),
    pytest.param(Standing(P.NOT_STARTED, **OVER), L.FAILURE, L.FAILURE, None, None, id="RetriesExhausted, many passes"),
    pytest.param(
        Standing(P.AWAITING, begun=True), L.PENDING, L.PENDING, T.RUNNING, S.PROCESSING, id="AWAITING after chunks"
    ),
    pytest.param(
        Standing(P.TOO_MANY_CAMERAS, begun=True),
        *(L.PENDING, L.PENDING, T.RUNNING, S.PROCESSING),
        id="TOO_MANY_CAMERAS after chunks",
    ),
    pytest.param(Standing(P.DISABLED, enabled=False), L.STOP, L.STOP, T.CANCELLED, S.FAILED, id="DISABLED by user"),
    pytest.param(Standing(P.DISABLED, scheduled_off=True), L.PAUSED, L.PAUSED, None, None, id="DISABLED by schedule"),
]


@pytest.mark.acceptance("X2", "V90", "A17")
@pytest.mark.parametrize(("job", "logged", "stream", "task", "step"), ROWS)
def test_each_row_of_the_table(
    job: Standing, logged: StreamStatus, stream: StreamStatus, task: TaskStatus | None, step: StepStatus | None
) -> None:
    assert (logged_status(job), stream_status(job), task_status(job), step_status(job)) == (logged, stream, task, step)


@pytest.mark.acceptance("X2")
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("over", [False, True])
def test_what_a_log_tells_of_a_moment_is_never_a_streams_status(phase: Phase, over: bool) -> None:
    assert stream_status(Standing(phase, over=over)) not in (L.RESTART, L.HANDLER_LOST, L.UNKNOWN)


@pytest.mark.acceptance("X9")
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize(
    ("finish", "status"),
    [("stop", T.SUCCEEDED), ("max_frames", T.SUCCEEDED), ("error", T.FAILED), ("cancelled", T.CANCELLED)],
)
def test_closed_results_say_what_became_of_a_task(phase: Phase, finish: FinishReason, status: TaskStatus) -> None:
    for enabled in (True, False):
        assert task_status(Standing(phase, single_pass=True, enabled=enabled), finish) is status


@pytest.mark.acceptance("X9", "V90")
@pytest.mark.parametrize("phase", list(Phase))
def test_a_disabled_task_with_open_results_is_being_cancelled(phase: Phase) -> None:
    assert task_status(Standing(phase, single_pass=True, enabled=False), open_log=True) is T.CANCELLING


@pytest.mark.acceptance("A20", "V90")
def test_a_task_that_was_cancelled_before_it_began_is_cancelled_at_once_unless_a_worker_had_it() -> None:
    def cancelled(phase: Phase, **status: Any) -> TaskStatus | None:
        told = VideoJobStatus.model_validate({"phase": phase, **status})
        return task_status(Standing.of(_spec(enabled=False, singlePass=True), told))

    for phase in (P.AWAITING, P.TOO_MANY_CAMERAS, P.MISCONFIGURED):
        assert cancelled(phase) is T.CANCELLED
        for given in ({"epoch": 1}, {"run": 1}, {"spentEpoch": 1}, {"worker": {"name": "a", "pool": "n/p", "id": "b"}}):
            assert cancelled(phase, **given) is T.CANCELLING
            assert cancelled(P.DISABLED, **given) is T.CANCELLED


def _spec(**fields: Any) -> VideoJobSpec:
    given = {"source": {"url": "https://h/1"}, "analytics": [{"steps": [{"model": "detect"}]}]}
    return VideoJobSpec.model_validate({**given, **fields})


def _failed(holds: ConditionStatus) -> Condition:
    return Condition(type="Failed", status=holds, last_transition_time=TIME, reason="RetriesExhausted", message="")


def test_a_job_without_a_status_waits() -> None:
    assert Standing.of(_spec(), VideoJobStatus()) == Standing(P.AWAITING, untouched=True)


@pytest.mark.parametrize("open_log", [False, True])
def test_a_task_that_no_worker_had_is_cancelled_also_while_its_log_is_being_closed(open_log: bool) -> None:
    assert task_status(Standing(enabled=False, untouched=True), open_log=open_log) is TaskStatus.CANCELLED


def test_attempts_that_are_used_up_are_told_by_the_condition() -> None:
    phase = P.NOT_STARTED
    for holds, over in [(ConditionStatus.TRUE, True), (ConditionStatus.FALSE, False)]:
        status = VideoJobStatus(phase=phase, conditions=[_failed(holds)])
        assert Standing.of(_spec(), status) == Standing(phase, over=over, untouched=True)


def test_a_job_that_no_worker_is_left_for_is_stalled_and_not_over() -> None:
    stalled = Condition(
        type="Stalled", status=ConditionStatus.TRUE, last_transition_time=TIME, reason="SourceCodec", message=""
    )
    status = VideoJobStatus(phase=P.MISCONFIGURED, conditions=[stalled, _failed(ConditionStatus.FALSE)])
    assert Standing.of(_spec(), status) == Standing(P.MISCONFIGURED, stalled=True, untouched=True)


def test_a_schedule_is_no_user() -> None:
    by_schedule = VideoJobStatus(phase=P.DISABLED, reason=Reason.SCHEDULE)
    by_user = VideoJobStatus(phase=P.DISABLED, reason=Reason.DISABLED)
    assert Standing.of(_spec(), by_schedule).scheduled_off
    assert not Standing.of(_spec(enabled=False), by_user).scheduled_off


@pytest.mark.parametrize(
    "facts",
    [
        {"first_frame_time": TIME},
        {"statistics": Statistics(processed_frames=1)},
        {"history": [Transition(sequence=3, time=TIME, from_=P.INPROGRESS, to=P.DISCONNECTED)]},
    ],
    ids=["first frame of this epoch", "counters of the run", "history"],
)
def test_a_job_with_frames_has_begun(facts: dict[str, Any]) -> None:
    assert Standing.of(_spec(), VideoJobStatus(**facts)).begun
    assert not Standing.of(_spec(), VideoJobStatus(statistics=Statistics())).begun
