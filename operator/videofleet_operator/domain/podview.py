"""A worker pod as the rules about pools see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from videofleet_operator.domain.isolation import slots_per_worker
from videofleet_operator.domain.model import Pool, Seconds


class PodState(StrEnum):
    """What a worker pod is good for."""

    STARTING = "starting"
    """It exists and is no worker yet; it is counted on."""
    READY = "ready"
    """Its worker answers."""
    FAILED = "failed"
    """It has ended, whatever its exit code: a worker never ends by itself."""
    TERMINATING = "terminating"
    """It is being deleted."""


LIVE: Final = frozenset({PodState.STARTING, PodState.READY})


@dataclass(frozen=True, slots=True)
class Pod:
    """A worker pod of the pool."""

    name: str
    ordinal: int
    incarnation: int
    state: PodState
    created: Seconds
    used: int = 0
    """Slots that jobs hold on it."""
    idle_since: Seconds | None = None
    """Since when it has had no job; None: it has one, or it is not known."""
    ended: Seconds | None = None
    """When it failed; None: it is not known, and counts as just now."""
    outdated: bool = False
    """Made from another template than the pool has now."""
    failures: int = 0
    """How often in a row its place had failed before it was made."""
    spent: bool = False
    """It has had its one job and takes no other."""
    draining: bool = False
    """Someone wants it emptied: it does not count, and is taken away once it has no job."""
    cordoned: bool = False
    """Its node takes no pods: what is free on it is not given away."""
    room: int | None = None
    """Slots that it takes where these are fewer than the pool's others have."""
    unscheduled: bool = False
    """No node has room for it."""


def slots_of_pod(pool: Pool, pod: Pod) -> int:
    """Slots that the worker in a pod takes, or will."""
    return slots_per_worker(pool) if pod.room is None else pod.room
