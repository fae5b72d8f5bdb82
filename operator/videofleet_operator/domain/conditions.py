"""Conditions as kstatus reads them: Ready, Reconciling, Stalled; beside them Scheduled, Licensed, Complete, Failed and
SourceHealthy; where results have receivers, OutputsDelivered.

At most one of Reconciling and Stalled is True. Reconciling: it goes on by itself. Stalled: it needs a user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from videofleet_api.codes import Reason
from videofleet_api.conditions import Condition, ConditionStatus
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.backoff import exhausted, over_without_success
from videofleet_operator.domain.health import CONDITION, Told, source_health
from videofleet_operator.domain.model import Job, Record, Seconds
from videofleet_operator.domain.outputs import CONDITION as OUTPUTS
from videofleet_operator.domain.outputs import outputs_delivered
from videofleet_operator.domain.reports import Counters
from videofleet_operator.domain.times import format_time

_NEEDS_A_USER = frozenset({Reason.INVALID_SPEC, Reason.UNKNOWN_TIME_ZONE, Reason.NEVER_FITS})
"""Reasons of a waiting job that time does not heal."""


_STATUS = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}


class PoolReason(StrEnum):
    """Reasons of a WorkerPool's conditions."""

    WORKERS_READY = "WorkersReady"
    WORKERS_STARTING = "WorkersStarting"
    UPDATING = "Updating"
    WORKERS_FAILING = "WorkersFailing"
    INVALID_SPEC = "InvalidSpec"


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a WorkerPool's conditions are made from."""

    desired: int
    ready: int
    failed: int
    problem: str = ""
    """Why its workers cannot be made or do not run, where that is known."""
    failing: bool = False
    """Whether that is more than waiting for a node."""
    invalid: str = ""
    """What is wrong with its spec."""
    update: str = ""
    """How far an update of its workers is."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A condition without its time."""

    type: str
    holds: bool | None
    """None: it cannot be said."""
    reason: str
    message: str


def conditions(
    record: Record,
    job: Job,
    previous: Sequence[Condition],
    now: Seconds,
    told: Told | None = None,
    counted: Counters | None = None,
    *,
    others_left: bool = False,
) -> list[Condition]:
    """All conditions of a VideoJob. A condition whose status is as before keeps its time. `told`: of its source;
    `counted`: what else its worker said; `others_left`: a worker is left that could run what another one refused."""
    health = source_health(record, told, previous)
    outputs = outputs_delivered(job.spec.outputs, counted, previous)
    reason = str(record.reason or Reason.PENDING)
    stalled, stalled_reason = _stalled(record, job, others_left=others_left)
    findings = (
        _Finding("Ready", _ready(record), reason, record.message),
        _Finding("Reconciling", not stalled and _reconciling(record), reason, record.message),
        _Finding("Stalled", stalled, stalled_reason, record.message if stalled else ""),
        _scheduled(record),
        _licensed(record),
        _Finding("Complete", _complete(record), reason, record.message),
        _Finding("Failed", over_without_success(record, job.spec.restart), stalled_reason, record.message),
        _Finding(CONDITION, health.holds, health.reason, health.message),
        *([] if outputs is None else [_Finding(OUTPUTS, outputs.holds, outputs.reason, outputs.message)]),
    )
    return _timed(findings, record.observed_generation, previous, now)


def pool_conditions(state: PoolState, generation: int, previous: Sequence[Condition], now: Seconds) -> list[Condition]:
    """All conditions of a WorkerPool."""
    ready = state.ready >= state.desired and not state.invalid
    reason, message = _pool_words(state, ready)
    findings = (
        _Finding("Ready", ready, reason, message),
        _Finding("Reconciling", (not ready or bool(state.update)) and not state.invalid, reason, message),
        _Finding("Stalled", bool(state.invalid), reason, message if state.invalid else ""),
    )
    return _timed(findings, generation, previous, now)


def _ready(record: Record) -> bool:
    """Whether the job is as its spec wants it. A disabled one is: what waits for Ready must not wait for ever."""
    if record.phase is Phase.DISABLED:
        return True
    if record.phase is Phase.COMPLETED:
        return _complete(record)
    return record.phase is Phase.INPROGRESS and record.reason is not Reason.RECONNECTING


def _stalled(record: Record, job: Job, *, others_left: bool) -> tuple[bool, str]:
    reason = str(record.reason or Reason.PENDING)
    if exhausted(record, job.spec.restart):
        return True, Reason.RETRIES_EXHAUSTED
    match record.phase:
        case Phase.MISCONFIGURED:
            return not others_left, reason
        case Phase.INTERRUPTED:
            return over_without_success(record, job.spec.restart), reason
        case Phase.AWAITING:
            return record.reason in _NEEDS_A_USER, reason
        case _:
            return False, reason


def _reconciling(record: Record) -> bool:
    match record.phase:
        case Phase.DISABLED:
            return False
        case Phase.INPROGRESS:
            return record.reason is Reason.RECONNECTING
        case _:
            return not record.finished


def _scheduled(record: Record) -> _Finding:
    if record.worker is not None:
        return _Finding("Scheduled", True, Reason.ASSIGNED, f"given to worker {record.worker.name}")
    return _Finding("Scheduled", False, str(record.reason or Reason.PENDING), record.message)


def _licensed(record: Record) -> _Finding:
    """Of a job that asks for no slot it cannot be said whether there is one."""
    if record.phase in ASSIGNED:
        return _Finding("Licensed", True, Reason.ASSIGNED, "counts as one stream of the licence")
    refused = record.phase is Phase.TOO_MANY_CAMERAS
    words = record.message if refused else "counts for the licence only while it runs"
    return _Finding("Licensed", False if refused else None, str(record.reason or Reason.PENDING), words)


def _complete(record: Record) -> bool:
    """Whether its single pass is over and reached the end."""
    return record.phase is Phase.COMPLETED and record.finished


def _pool_words(state: PoolState, ready: bool) -> tuple[PoolReason, str]:
    counts = f"{state.ready} of {state.desired} workers are ready"
    if state.invalid:
        return PoolReason.INVALID_SPEC, state.invalid
    if ready and state.update:
        return PoolReason.UPDATING, f"{counts}; {state.update}"
    if ready:
        return PoolReason.WORKERS_READY, counts
    told = f"{counts}: {state.problem}" if state.problem else counts
    told = f"{told}; {state.update}" if state.update else told
    if state.failed:
        return PoolReason.WORKERS_FAILING, f"{told} ({state.failed} failed and are being replaced)"
    if state.problem and state.failing:
        return PoolReason.WORKERS_FAILING, told
    return PoolReason.WORKERS_STARTING, told


def _timed(
    findings: Sequence[_Finding], generation: int, previous: Sequence[Condition], now: Seconds
) -> list[Condition]:
    before = {condition.type: condition for condition in previous}
    result = []
    for finding in findings:
        status = _STATUS[finding.holds]
        old = before.get(finding.type)
        kept = old is not None and old.status is status
        time = old.last_transition_time if old is not None and kept else format_time(now)
        result.append(
            Condition(
                type=finding.type,
                status=status,
                observed_generation=generation,
                last_transition_time=time,
                reason=str(finding.reason),
                message=finding.message,
            )
        )
    return result


def licence_conditions(
    valid: bool, reason: str, message: str, generation: int, previous: Sequence[Condition], now: Seconds
) -> list[Condition]:
    """All conditions of a VideoLicense."""
    return _timed((_Finding("Valid", valid, reason, message),), generation, previous, now)
