"""A record from VideoJob.status: all that a new leader knows of the past."""

import sys
from functools import lru_cache
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_api.videojob import LastError, MoveRef, VideoJobStatus, WorkerRef
from videofleet_operator.domain.model import Assigned, Excluded, Failure, Move, Record, Seconds
from videofleet_operator.domain.status import read_status
from videofleet_operator.domain.times import parse_time

_NOT_OF_THE_RECORD: Final = frozenset({"conditions", "analytics", "history"})
"""Most of a status; it follows from the rest."""


def from_status(raw: object) -> Record:
    """The record in a status in its JSON form.

    Only the operator writes status; should someone else have, what cannot be read is as if it were not there, and a
    job that is nowhere assigned is AWAITING. Counters are kept in any case: an epoch must never be given out twice.
    """
    known = {key: raw[key] for key in raw.keys() - _NOT_OF_THE_RECORD} if isinstance(raw, dict) else raw
    status = read_status(known)
    worker = _assigned(status.worker)
    lost = status.phase in ASSIGNED and worker is None
    phase = Phase.AWAITING if lost else status.phase
    return Record(
        phase=phase,
        reason=None if lost else _reason(status.reason),
        message="" if lost else sys.intern(status.message or ""),
        observed_generation=status.observed_generation,
        run=status.run,
        epoch=status.epoch,
        transitions=status.transitions,
        since=_time(status.since) or 0.0,
        worker=worker if phase in ASSIGNED else None,
        move=_move(status.move) if phase in (Phase.INPROGRESS, Phase.DISCONNECTED) else None,
        spent=max(status.spent_epoch or 0, status.move.epoch if status.move else 0),
        next_move=_time(status.next_move_time),
        attempt=status.attempt,
        suspicion=status.suspicion,
        excluded=tuple(Excluded(each.name, each.id, each.instance) for each in status.excluded_workers or ()),
        next_retry=_time(status.next_retry_time),
        spec_digest=status.spec_digest,
        run_digest=status.run_digest,
        settings=sys.intern(status.settings_digest) if status.settings_digest else status.settings_digest,
        first_frame=_time(status.first_frame_time),
        completed=_time(status.completion_time),
        finished=bool(status.finished),
        last_error=_failure(status.last_error),
        restarts=_restarts(status),
    )


def _assigned(ref: WorkerRef | None) -> Assigned | None:
    if ref is None or ref.instance is None:
        return None
    return _shared(ref.name, ref.pool, ref.id, ref.instance, ref.node)


@lru_cache(4096)
def _shared(name: str, pool: str, uid: str, instance: str, node: str | None) -> Assigned:
    """The same one for all jobs of a worker."""
    return Assigned(name, pool, uid, instance, node)


def _move(ref: MoveRef | None) -> Move | None:
    worker = _assigned(ref.worker if ref else None)
    if ref is None or worker is None:
        return None
    return Move(worker, ref.epoch, _time(ref.since) or 0.0)


def _reason(text: str | None) -> Reason | None:
    try:
        return None if text is None else Reason(text)
    except ValueError:
        return None


def _failure(error: LastError | None) -> Failure | None:
    time = None if error is None else _time(error.time)
    return None if error is None or time is None else Failure(error.code, error.message, time)


def _restarts(status: VideoJobStatus) -> int:
    return status.statistics.restarts if status.statistics else 0


def _time(text: str | None) -> Seconds | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None
