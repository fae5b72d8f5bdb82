"""Ways to make a new record; here alone the phase changes."""

from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase, allowed
from videofleet_api.redaction import redact_text
from videofleet_api.videojob import Restart
from videofleet_operator.domain.facts import Placed
from videofleet_operator.domain.model import Record, Seconds, Why
from videofleet_operator.domain.values import value

MESSAGE_LIMIT: Final = 1024
"""Characters of a message; the schema of status takes no more of an error's."""
_STARTING: Final = Phase.STARTING
_ASSIGNED: Final = Reason.ASSIGNED
_VOLATILE: Final = frozenset(
    {
        Reason.WORKERS_FULL,
        Reason.WORKERS_EXCLUDED,
        Reason.NO_EMPTY_WORKER,
        Reason.SOURCE_THROTTLED,
        Reason.NO_READY_WORKER,
        Reason.LICENCE_EXHAUSTED,
        Reason.NAMESPACE_SHARE_USED,
    }
)
"""Reasons whose message holds counts: it is not rewritten while the reason stays, or a full fleet would make every
waiting job's status change with each change of any other."""
_VALUES: Final = attrgetter(*(field.name for field in fields(Record)))


class ForbiddenEdgeError(AssertionError):
    """A fact was about to take a job along an edge that does not exist: an error in the lifecycle."""


@value(frozen=True, slots=True)
class Context:
    """What the lifecycle has to know of a job's spec."""

    uid: str
    generation: int
    single_pass: bool
    restart: Restart


def changed(record: Record, **changes: Any) -> Record:
    """As `dataclasses.replace`, in a fifth of its time: a plan may make a record for each of 10,000 jobs."""
    made = Record(*_VALUES(record))
    for name, new in changes.items():
        setattr(made, name, new)
    return made


def leave(record: Record, phase: Phase, why: Why, context: Context, now: Seconds, **changes: Any) -> Record:
    """Away from a worker, and from that of a move; nothing is waited for unless `changes` say so."""
    defaults: dict[str, Any] = {
        "worker": None,
        "move": None,
        "next_move": None,
        "next_retry": None,
        "finished": False,
    }
    return enter(record, phase, why, context, now, **(defaults | changes))


def start(record: Record, given: Placed, run: int, context: Context, now: Seconds) -> Record:
    """Into STARTING, on another worker and with an epoch of its own.

    As `enter`, with every field at once: a plan may do this for each of 10,000 jobs. What is not named here is that of
    a job which never ran.
    """
    _check_edge(record.phase, _STARTING, _ASSIGNED)
    return Record(
        phase=_STARTING,
        reason=_ASSIGNED,
        message=clean(f"given to worker {given.worker.name}"),
        observed_generation=max(record.observed_generation, context.generation),
        run=run,
        epoch=record.next_epoch,
        transitions=record.transitions + 1,
        since=now,
        worker=given.worker,
        spent=record.spent,
        attempt=record.attempt,
        suspicion=record.suspicion,
        excluded=record.excluded,
        spec_digest=given.digest,
        run_digest=given.run_digest,
        settings=given.settings,
        last_error=record.last_error,
        restarts=record.restarts + (record.epoch > 0),
    )


def enter(record: Record, phase: Phase, why: Why, context: Context, now: Seconds, **changes: Any) -> Record:
    """Into another phase. Beside `start` the only place that changes it."""
    _check_edge(record.phase, phase, why.reason)
    return changed(
        record,
        phase=phase,
        reason=why.reason,
        message=clean(why.message),
        since=now,
        transitions=record.transitions + 1,
        observed_generation=max(record.observed_generation, context.generation),
        **changes,
    )


def _check_edge(before: Phase, after: Phase, reason: Reason) -> None:
    if before is after or not allowed(before, after):
        raise ForbiddenEdgeError(f"no edge from {before} to {after} (reason {reason})")


def explain(record: Record, why: Why, context: Context, now: Seconds) -> Record:
    """Another reason or message in the same phase."""
    if record.reason is why.reason and why.reason in _VOLATILE:
        return record
    message = clean(why.message)
    if record.reason is why.reason and record.message == message:
        return record
    generation = max(record.observed_generation, context.generation)
    since = record.since or now
    return changed(record, reason=why.reason, message=message, observed_generation=generation, since=since)


def clean(message: str) -> str:
    """Without credentials and not longer than status takes."""
    told = redact_text(message) if "://" in message else message
    return told if len(told) <= MESSAGE_LIMIT else told[: MESSAGE_LIMIT - 1] + "…"
