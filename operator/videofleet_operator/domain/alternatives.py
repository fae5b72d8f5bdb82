"""Whether a job that a worker refused for its configuration may still run on another one."""

from videofleet_api.phases import Phase
from videofleet_operator.domain import exclusion
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Job, Record, Snapshot, Worker
from videofleet_operator.domain.placement import answers, needed_steps


def others_left(job: Job, record: Record, snapshot: Snapshot) -> bool:
    """Whether a worker that could run the job has not refused it yet. Room plays no part: that changes by itself.

    What as many workers have refused as are passed over at a time is wrong in itself, however many there are.
    """
    if record.phase is not Phase.MISCONFIGURED or len(record.excluded) >= exclusion.LIMIT:
        return False
    tried = {each.id for each in exclusion.in_force(record.excluded, snapshot.workers)}
    return any(each.id not in tried and _could_run(job, each, snapshot) for each in snapshot.workers.values())


def _could_run(job: Job, worker: Worker, snapshot: Snapshot) -> bool:
    pool = snapshot.pools.get(worker.pool)
    return pool is not None and answers(worker) and refusal(pool, job) is None and needed_steps(job) <= worker.steps
