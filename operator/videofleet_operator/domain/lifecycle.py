"""The lifecycle of a VideoJob as one pure function.

Each fact moves a record along at most one edge of `videofleet_api.phases.EDGES`; a fact that makes no sense where the
record is (a late report of an older epoch, a placement of a job that runs) changes nothing.
"""

from typing import Any, Final

from videofleet_api.codes import CONFIGURATION_ERRORS, REASON_OF_ERROR, ErrorCode, Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_api.videojob import Restart
from videofleet_operator.domain import exclusion, facts, moves, suspicion
from videofleet_operator.domain.backoff import CLOCK_TOLERANCE, RETRIED, longest_wait, retry_at, retry_wait
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.model import Failure, Record, Seconds, Why
from videofleet_operator.domain.records import Context, changed, clean, enter, explain, leave, start

_REDO: Final = RETRIED | ASSIGNED
"""Phases that a changed spec ends."""
_WAITING: Final = frozenset({Phase.AWAITING, Phase.TOO_MANY_CAMERAS})
_TRIED_AGAIN: Final = frozenset({Phase.NOT_STARTED, Phase.MISCONFIGURED})
_ANEW: Final[dict[str, Any]] = {"attempt": 0, "suspicion": 0, "excluded": ()}
"""What is held against a job is forgotten when a user has changed something about it."""


def advance(record: Record, fact: Fact, context: Context, now: Seconds) -> Record:
    """The record after a fact; the same object when the fact changes nothing."""
    match fact:
        case facts.Placed():
            return _placed(record, fact, context, now)
        case facts.Disabled():
            return _disabled(record, Why(Reason.DISABLED, "spec.enabled is false"), context, now)
        case facts.OutsideSchedule(message):
            return _disabled(record, Why(Reason.SCHEDULE, message), context, now)
        case facts.Enabled():
            return _enabled(record, context, now)
        case facts.SpecChanged():
            return _spec_changed(record, context, now)
        case facts.RunOver():
            return changed(record, completed=now) if record.run and record.completed is None else record
        case facts.RunKept():
            return _run_kept(record)
        case facts.Evicted(why):
            return leave(record, Phase.AWAITING, why, context, now) if record.phase in ASSIGNED else record
        case facts.NoPlace(why):
            return _no_place(record, why, context, now)
        case facts.Throttled(why):
            return _throttled(record, why, context, now)
        case facts.NoLicence(why):
            return _no_licence(record, why, context, now)
        case facts.Shed(why):
            return leave(record, Phase.TOO_MANY_CAMERAS, why, context, now) if record.phase in RUNNING else record
        case facts.Readmitted(excluded):
            return record if record.excluded == excluded else changed(record, excluded=excluded)
        case facts.MoveBegun(worker):
            return moves.begun(record, worker, now)
        case facts.MoveFailed(blamed):
            return moves.failed(record, blamed, now)
        case facts.MoveTakesOver():
            return moves.takes_over(record, context, now)
        case facts.Preparing(epoch):
            return _preparing(record, context, now) if _current(record, epoch) else record
        case facts.Applied(epoch, settings):
            return changed(record, settings=settings) if _current(record, epoch) else record
        case facts.FirstFrame(epoch, time) if record.move is not None and record.move.epoch == epoch:
            return moves.done(record, record.move, time)
        case facts.FirstFrame(epoch, time):
            return _first_frame(record, time, context, now) if _current(record, epoch) else record
        case facts.Reconnecting(epoch, message):
            return _reconnecting(record, message, context, now) if _current(record, epoch) else record
        case facts.Reconnected(epoch):
            return _reconnected(record, context, now) if _current(record, epoch) else record
        case facts.Ended(epoch):
            return _ended(record, fact, context, now) if _current(record, epoch) else record
        case facts.Failed(epoch):
            return _failed(record, fact, context, now) if _current(record, epoch) else record
        case facts.Refused(epoch):
            return _refused(record, fact, context, now) if _current(record, epoch) else record
        case facts.Superseded(epoch):
            return moves.superseded(record, context, now) if _current(record, epoch) else record
        case facts.WorkerSilent(message):
            return _lost(record, Why(Reason.WORKER_SILENT, message), context, now)
        case facts.WorkerGone(message):
            return _lost(record, Why(Reason.WORKER_GONE, message), context, now)
        case facts.WorkerCrashed(message):
            return _crashed(record, message, context, now)
        case facts.Convicted():
            return _convicted(record, context, now)
        case facts.WorkerBack():
            return _worker_back(record, fact, context, now)
        case facts.StartTimedOut(message):
            return _start_timed_out(record, message, context, now)
        case facts.StableRunning():
            return changed(record, attempt=0) if record.attempt and _stable(record, context, now) else record
        case facts.Trusted():
            return _trusted(record, now)
        case facts.RetryDue():
            return _retry_due(record, context, now)
        case facts.ClockWentBack():
            return _clock_went_back(record, context, now)


def waits(record: Record, restart: Restart, now: Seconds) -> bool:
    """Whether a placement is acceptable from where the record is, apart from a lost worker."""
    if record.phase in _WAITING:
        return True
    due = retry_at(record, restart) if record.phase in _TRIED_AGAIN else None
    return due is not None and due <= now


# Spec


def _disabled(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    if record.phase is Phase.DISABLED:
        return explain(record, why, context, now)
    # A schedule that closes is no user who has changed something.
    forgotten = _ANEW if why.reason is Reason.DISABLED else {"attempt": 0}
    return leave(record, Phase.DISABLED, why, context, now, **forgotten)


def _enabled(record: Record, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.DISABLED:
        return record
    scheduled = record.reason is Reason.SCHEDULE
    why = Why(Reason.ENABLED, "inside spec.schedule again" if scheduled else "spec.enabled is true again")
    return enter(record, Phase.AWAITING, why, context, now)


def _spec_changed(record: Record, context: Context, now: Seconds) -> Record:
    if record.phase not in _REDO:
        return record
    why = Why(Reason.SPEC_CHANGED, "the spec, or a Secret that it names, changed: it starts anew")
    return leave(record, Phase.AWAITING, why, context, now, **_ANEW)


def _run_kept(record: Record) -> Record:
    """Only what a worker still runs can go on: elsewhere the run is over for good."""
    return changed(record, completed=None) if record.phase in ASSIGNED and record.completed is not None else record


# Placement


def _placed(record: Record, fact: facts.Placed, context: Context, now: Seconds) -> Record:
    if not _may_start(record, context, now):
        return record
    # A run that is over is never continued: its results are closed, or are those of another source.
    run = max(1, record.run + (record.completed is not None))
    return start(record, fact, run, context, now)


def _no_place(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    if not _may_start(record, context, now):
        return record
    if record.phase is Phase.AWAITING:
        # That it gave way says more than that there is still no room.
        kept = record.reason in (Reason.PREEMPTED, Reason.SHED) and why.reason is Reason.WORKERS_FULL
        return record if kept else explain(record, why, context, now)
    return leave(record, Phase.AWAITING, why, context, now)


def _throttled(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    """A lost stream keeps its place in line, and its licence slot: it waits for seconds only."""
    if record.phase is Phase.DISCONNECTED:
        return explain(record, why, context, now)
    return _no_place(record, why, context, now)


def _no_licence(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    if not _may_start(record, context, now):
        return record
    if record.phase is not Phase.TOO_MANY_CAMERAS:
        return leave(record, Phase.TOO_MANY_CAMERAS, why, context, now)
    # That it was shed says more, and tells when the last stream was.
    kept = record.reason is Reason.SHED and why.reason is Reason.LICENCE_EXHAUSTED
    return record if kept else explain(record, why, context, now)


def _may_start(record: Record, context: Context, now: Seconds) -> bool:
    return waits(record, context.restart, now) or record.phase is Phase.DISCONNECTED


# Reports


def _current(record: Record, epoch: int) -> bool:
    """Results of one epoch only are accepted at any time."""
    return record.phase in ASSIGNED and epoch == record.epoch


def _first_seen(record: Record, reported: Seconds | None) -> Seconds | None:
    """When the first frame of this epoch was processed, as far as anyone knows."""
    if record.first_frame is not None:
        return record.first_frame
    return record.since if reported is None and record.phase is Phase.INPROGRESS else reported


def _preparing(record: Record, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.STARTING:
        return record
    return explain(record, Why(Reason.PREPARING, "the worker is still preparing its models"), context, now)


def _first_frame(record: Record, time: Seconds, context: Context, now: Seconds) -> Record:
    if record.phase is Phase.INPROGRESS:
        return record
    return enter(record, Phase.INPROGRESS, Why(Reason.RUNNING, ""), context, now, first_frame=time)


def _reconnecting(record: Record, message: str, context: Context, now: Seconds) -> Record:
    # The first message is kept: each try would otherwise be a write.
    if record.phase is not Phase.INPROGRESS or record.reason is Reason.RECONNECTING:
        return record
    return explain(record, Why(Reason.RECONNECTING, message), context, now)


def _reconnected(record: Record, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.INPROGRESS or record.reason is not Reason.RECONNECTING:
        return record
    return explain(record, Why(Reason.RUNNING, ""), context, now)


def _ended(record: Record, fact: facts.Ended, context: Context, now: Seconds) -> Record:
    first_frame = _first_seen(record, fact.first_frame)
    if first_frame is None:
        empty = "the source ended before its first frame"
        return _before_first_frame(record, ErrorCode.EMPTY, empty, context, now)
    over = context.single_pass
    return leave(
        record,
        Phase.COMPLETED,
        Why(Reason.ENDED, "the end of the source was reached"),
        context,
        now,
        attempt=0,
        # The whole source went through without a crash.
        suspicion=0,
        first_frame=first_frame,
        completed=now,
        finished=over,
        next_retry=None if over else now + context.restart.delay,
    )


def _failed(record: Record, fact: facts.Failed, context: Context, now: Seconds) -> Record:
    first_frame = _first_seen(record, fact.first_frame)
    if first_frame is None:
        return _before_first_frame(record, fact.code, fact.message, context, now)
    if record.phase is Phase.STARTING:
        # There is no edge from STARTING to INTERRUPTED; the worker keeps saying that it failed.
        return _first_frame(record, first_frame, context, now)
    return _error(record, Phase.INTERRUPTED, fact.code, fact.message, context, now, first_frame=first_frame)


def _refused(record: Record, fact: facts.Refused, context: Context, now: Seconds) -> Record:
    started = record.phase is not Phase.STARTING and _first_seen(record, None) is not None
    phase = Phase.INTERRUPTED if started else Phase.MISCONFIGURED
    return _error(record, phase, fact.code, fact.message, context, now)


def _before_first_frame(record: Record, code: ErrorCode, message: str, context: Context, now: Seconds) -> Record:
    phase = Phase.MISCONFIGURED if code in CONFIGURATION_ERRORS else Phase.NOT_STARTED
    return _error(record, phase, code, message, context, now)


def _error(
    record: Record,
    phase: Phase,
    code: ErrorCode,
    message: str,
    context: Context,
    now: Seconds,
    *,
    reason: Reason | None = None,
    **changes: Any,
) -> Record:
    """Into a failed phase, with the back-off that its attempts have earned."""
    # A worker reports a source that does not answer within seconds; of one that says nothing it is the cause itself.
    blamed = exclusion.blames(code) or reason is Reason.START_TIMEOUT
    why = Why(reason or REASON_OF_ERROR[code], message)
    attempt = 1 if _stable(record, context, now) else record.attempt + 1
    over = context.single_pass and phase is Phase.INTERRUPTED
    limit = context.restart.max_attempts
    again = not over and (limit is None or attempt < limit)
    wait = retry_wait(context.uid, attempt, phase, why.reason, context.restart)
    return leave(
        record,
        phase,
        why,
        context,
        now,
        attempt=attempt,
        excluded=exclusion.with_worker(record.excluded, record.worker) if blamed else record.excluded,
        finished=over,
        # What nothing tries again by itself is over: its results are ended, and another try begins a new run.
        completed=record.completed if again else now,
        next_retry=now + wait if again else None,
        last_error=Failure(code.value, clean(message), now),
        **changes,
    )


# Worker


def _lost(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    """The worker, epoch and licence slot are kept: it may come back."""
    return enter(record, Phase.DISCONNECTED, why, context, now) if record.phase in RUNNING else record


def _crashed(record: Record, message: str, context: Context, now: Seconds) -> Record:
    """As lost, and a suspicion more. One that was only silent until now may have died then already."""
    why = Why(Reason.WORKER_CRASHED, message)
    if record.phase in RUNNING:
        return enter(record, Phase.DISCONNECTED, why, context, now, suspicion=record.suspicion + 1)
    if record.phase is Phase.DISCONNECTED and record.reason is Reason.WORKER_SILENT:
        return changed(explain(record, why, context, now), suspicion=record.suspicion + 1)
    return record


def _convicted(record: Record, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.DISCONNECTED or not suspicion.convicted(record):
        return record
    message = (
        f"{record.suspicion} workers crashed while they ran it, the last one alone: "
        "edit the spec, or set enabled to false and true, to try it again"
    )
    return leave(record, Phase.INTERRUPTED, Why(Reason.SUSPECTED_CRASH, message), context, now, completed=now)


def _worker_back(record: Record, fact: facts.WorkerBack, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.DISCONNECTED or record.worker is None or record.worker.instance != fact.instance:
        return record
    first_frame = record.first_frame if record.first_frame is not None else fact.first_frame
    if first_frame is not None:
        return enter(record, Phase.INPROGRESS, Why(Reason.RUNNING, ""), context, now, first_frame=first_frame)
    why = Why(Reason.ASSIGNED, f"worker {record.worker.name} is back")
    return enter(record, Phase.STARTING, why, context, now)


# Clock


def _start_timed_out(record: Record, message: str, context: Context, now: Seconds) -> Record:
    if record.phase is not Phase.STARTING:
        return record
    return _error(record, Phase.NOT_STARTED, ErrorCode.TIMEOUT, message, context, now, reason=Reason.START_TIMEOUT)


def _trusted(record: Record, now: Seconds) -> Record:
    due = suspicion.trusted_at(record)
    if due is None or now < due or record.reason is Reason.RECONNECTING:
        return record
    return changed(record, suspicion=0)


def _retry_due(record: Record, context: Context, now: Seconds) -> Record:
    due = retry_at(record, context.restart)
    if due is None or due > now:
        return record
    why = Why(Reason.RESTARTING, f"starting again after {record.reason}: {record.message}")
    return leave(record, Phase.AWAITING, why, context, now)


def _stable(record: Record, context: Context, now: Seconds) -> bool:
    running = record.phase is Phase.INPROGRESS and record.reason is not Reason.RECONNECTING
    return running and now >= record.since + context.restart.stable_after


def _clock_went_back(record: Record, context: Context, now: Seconds) -> Record:
    """A persisted wait is capped at its own maximum, so that a clock that jumped cannot hold a job for long."""
    changes: dict[str, Any] = {}
    if record.since > now + CLOCK_TOLERANCE:
        changes["since"] = now
    longest = longest_wait(record, context.restart)
    if record.next_retry is not None and record.next_retry > now + longest + CLOCK_TOLERANCE:
        changes["next_retry"] = now + longest
    changes |= moves.times_capped(record, now)
    return changed(record, **changes) if changes else record
