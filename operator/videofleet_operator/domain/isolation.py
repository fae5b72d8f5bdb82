"""What a job takes of a worker. Where a pool isolates its jobs, a worker is for one job, and only once."""

from videofleet_api.workerpool import Isolation
from videofleet_operator.domain.model import Job, Pool


def isolated(pool: Pool | None) -> bool:
    """Whether each job of the pool has a worker pod of its own."""
    return pool is not None and pool.spec.isolation is Isolation.POD


def slots_per_worker(pool: Pool) -> int:
    """Slots of each worker of the pool."""
    return 1 if isolated(pool) else pool.spec.capacity_per_worker


def slots_of(job: Job, pool: Pool | None) -> int:
    """Slots that the job takes in this pool; a pool that is gone counts as one that shares its workers."""
    return 1 if isolated(pool) else job.spec.slots


def fits(job: Job, pool: Pool) -> bool:
    """Whether an empty worker of the pool has room for the job."""
    return slots_of(job, pool) <= slots_per_worker(pool)
