"""One change of phase as status keeps it."""

from typing import Final

from videofleet_api.videojob import TRANSITION_MESSAGE, Transition
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.times import format_time

_ELLIPSIS: Final = "…"


def transition(before: Record, after: Record) -> Transition | None:
    """What is told of a change from one record to the next; None where the phase stays.

    Messages of records are free of credentials already.
    """
    if after.transitions == before.transitions:
        return None
    worker = after.worker or before.worker
    return Transition(
        sequence=after.transitions,
        time=format_time(after.since),
        from_=before.phase,
        to=after.phase,
        reason=None if after.reason is None else str(after.reason),
        message=_cut(after.message) or None,
        worker=None if worker is None else worker.name,
    )


def _cut(message: str) -> str:
    return message if len(message) <= TRANSITION_MESSAGE else message[: TRANSITION_MESSAGE - 1] + _ELLIPSIS
