"""The ten phases of a VideoJob and the edges between them."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """`status.phase`. A job without a status is AWAITING."""

    AWAITING = "AWAITING"
    STARTING = "STARTING"
    INPROGRESS = "INPROGRESS"
    COMPLETED = "COMPLETED"
    INTERRUPTED = "INTERRUPTED"
    MISCONFIGURED = "MISCONFIGURED"
    TOO_MANY_CAMERAS = "TOO_MANY_CAMERAS"
    NOT_STARTED = "NOT_STARTED"
    DISCONNECTED = "DISCONNECTED"
    DISABLED = "DISABLED"


RUNNING: Final = frozenset({Phase.STARTING, Phase.INPROGRESS})
"""A worker is meant to run the job."""

ASSIGNED: Final = RUNNING | {Phase.DISCONNECTED}
"""The job holds a worker's capacity and a licence slot."""

_P = Phase
EDGES: Final[dict[Phase, frozenset[Phase]]] = {
    _P.AWAITING: frozenset({_P.STARTING, _P.TOO_MANY_CAMERAS, _P.DISABLED}),
    _P.STARTING: frozenset(
        {
            _P.INPROGRESS,
            _P.COMPLETED,
            _P.NOT_STARTED,
            _P.MISCONFIGURED,
            _P.DISCONNECTED,
            _P.AWAITING,
            _P.TOO_MANY_CAMERAS,
            _P.DISABLED,
        }
    ),
    _P.INPROGRESS: frozenset(
        {_P.COMPLETED, _P.INTERRUPTED, _P.DISCONNECTED, _P.AWAITING, _P.TOO_MANY_CAMERAS, _P.DISABLED}
    ),
    _P.COMPLETED: frozenset({_P.AWAITING, _P.DISABLED}),
    _P.INTERRUPTED: frozenset({_P.AWAITING, _P.DISABLED}),
    _P.MISCONFIGURED: frozenset({_P.STARTING, _P.AWAITING, _P.TOO_MANY_CAMERAS, _P.DISABLED}),
    _P.TOO_MANY_CAMERAS: frozenset({_P.STARTING, _P.AWAITING, _P.DISABLED}),
    _P.NOT_STARTED: frozenset({_P.STARTING, _P.AWAITING, _P.TOO_MANY_CAMERAS, _P.DISABLED}),
    _P.DISCONNECTED: frozenset(
        {
            _P.STARTING,
            _P.INPROGRESS,
            _P.COMPLETED,
            _P.NOT_STARTED,
            _P.MISCONFIGURED,
            _P.INTERRUPTED,
            _P.AWAITING,
            _P.TOO_MANY_CAMERAS,
            _P.DISABLED,
        }
    ),
    _P.DISABLED: frozenset({_P.AWAITING}),
}
"""Every allowed change of phase. Staying in a phase is no edge and is always allowed."""


def allowed(old: Phase, new: Phase) -> bool:
    """Whether the lifecycle lets a job go from `old` to `new`."""
    return old == new or new in EDGES[old]
