"""A running job moves to another worker without a gap: it is made there before it is broken here.

The move is in the record, with an epoch of its own, before the other worker hears of it. With the first frame of that
epoch the other worker and its epoch become the job's.
"""

from dataclasses import replace
from typing import Any, Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.backoff import CLOCK_TOLERANCE
from videofleet_operator.domain.exclusion import with_worker
from videofleet_operator.domain.model import Assigned, Move, Record, Seconds, Why
from videofleet_operator.domain.records import Context, changed, enter, leave

_FIRST_WAIT: Final[Seconds] = 5.0
LONGEST_WAIT: Final[Seconds] = 300.0
_LARGEST_EXPONENT: Final = 9


def may_begin(record: Record, now: Seconds) -> bool:
    """Whether the job may be moved now."""
    due = record.next_move is None or record.next_move <= now
    return record.phase is Phase.INPROGRESS and record.move is None and due


def begun(record: Record, worker: Assigned, now: Seconds) -> Record:
    """The other worker is to get the job ready."""
    if not may_begin(record, now):
        return record
    epoch = record.next_epoch
    return changed(record, move=Move(worker, epoch, now), spent=epoch, next_move=None)


def done(record: Record, move: Move, first_frame: Seconds) -> Record:
    """The other worker has processed a frame, and what it writes counts from there on: the job is its own."""
    # From DISCONNECTED there is no such way: it takes over first, and starts.
    if record.phase is not Phase.INPROGRESS:
        return record
    return changed(record, worker=move.worker, epoch=move.epoch, move=None, next_move=None, first_frame=first_frame)


def failed(record: Record, blamed: bool, now: Seconds) -> Record:
    """The job stays where it is. Its move's epoch stays spent, and the next try waits the longer the more failed."""
    if record.move is None:
        return record
    excluded = with_worker(record.excluded, record.move.worker) if blamed else record.excluded
    return changed(record, move=None, next_move=now + retry_wait(record.spent - record.epoch), excluded=excluded)


def takes_over(record: Record, context: Context, now: Seconds) -> Record:
    """The job's own worker is lost: it starts where it was about to be."""
    move = record.move
    if move is None or record.phase is not Phase.DISCONNECTED:
        return record
    why = Why(Reason.ASSIGNED, f"goes on on worker {move.worker.name}, which was getting it ready")
    return enter(
        record,
        Phase.STARTING,
        why,
        context,
        now,
        worker=move.worker,
        epoch=move.epoch,
        move=None,
        next_move=None,
        first_frame=None,
        restarts=record.restarts + 1,
    )


def superseded(record: Record, context: Context, now: Seconds) -> Record:
    """An epoch that came to nothing has taken the results over, so that the job's worker had to stop.

    While a move goes on that is what is meant to happen, and its first frame will be reported.
    """
    if record.move is not None or record.phase not in ASSIGNED:
        return record
    why = Why(Reason.RESTARTING, "another worker had taken the results over and did not go on: it starts anew")
    return leave(record, Phase.AWAITING, why, context, now)


def retry_wait(failures: int) -> Seconds:
    """Seconds to wait after so many moves that came to nothing: 5 s x 2^(failures - 1), at most 300 s."""
    return min(LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(max(failures - 1, 0), _LARGEST_EXPONENT))


def times_too_far_ahead(record: Record, now: Seconds) -> bool:
    """Whether the clock was set back since a move began or failed."""
    return (record.move is not None or record.next_move is not None) and bool(times_capped(record, now))


def times_capped(record: Record, now: Seconds) -> dict[str, Any]:
    """Changes that keep no time of a move further ahead than any wait may last."""
    changes: dict[str, Any] = {}
    if record.move is not None and record.move.since > now + CLOCK_TOLERANCE:
        changes["move"] = replace(record.move, since=now)
    if record.next_move is not None and record.next_move > now + LONGEST_WAIT + CLOCK_TOLERANCE:
        changes["next_move"] = now + LONGEST_WAIT
    return changes
