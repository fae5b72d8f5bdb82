"""Jobs that may crash workers: after two crashes a job restarts alone, after the next it is given up."""

from typing import Final

from videofleet_api.phases import Phase
from videofleet_operator.domain.isolation import slots_of, slots_per_worker
from videofleet_operator.domain.model import Job, Pool, Record, Seconds

ALONE_FROM: Final = 2
"""Crashes after which the job restarts alone on a worker, so that the next one tells."""
CONVICTED_FROM: Final = ALONE_FROM + 1
TRUSTED_AFTER: Final[Seconds] = 1800.0
"""Running for so long clears a job."""


def alone(record: Record) -> bool:
    """Whether the job takes a whole worker, which no other joins."""
    return record.suspicion >= ALONE_FROM


def convicted(record: Record) -> bool:
    """Whether the job crashed a worker that it had for itself: it is not tried again."""
    return record.suspicion >= CONVICTED_FROM


def given_up(record: Record) -> bool:
    """Whether the job has been stopped for it."""
    return convicted(record) and record.phase is Phase.INTERRUPTED


def trusted_at(record: Record) -> Seconds | None:
    """When a running job's suspicion is cleared; None: there is none, or it does not run."""
    return record.since + TRUSTED_AFTER if record.suspicion and record.phase is Phase.INPROGRESS else None


def held_slots(job: Job, pool: Pool | None) -> int:
    """Slots that an assigned or waiting job takes in this pool: all of a worker's where it goes alone."""
    return slots_per_worker(pool) if pool is not None and alone(job.record) else slots_of(job, pool)
