"""Which pool has to make room for the jobs that wait."""

from collections.abc import Iterable, Mapping

from videofleet_api.phases import RUNNING
from videofleet_operator.domain.isolation import fits, slots_per_worker
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Job, Pool, Record, Snapshot
from videofleet_operator.domain.suspicion import held_slots
from videofleet_operator.domain.tally import Tally


def waiting_slots(snapshot: Snapshot, tally: Tally) -> dict[str, list[int]]:
    """Slots of the jobs that wait for more workers, by the pool that should have them. `tally`: of this snapshot.

    A job counts for one pool only, the first by name that takes it and may still grow, or several would start workers
    for the same job.
    """
    room = _room(snapshot, tally)
    result: dict[str, list[int]] = {key: [] for key in snapshot.pools}
    for job in sorted(_waiting(snapshot, tally), key=lambda job: (-job.spec.priority, job.created, job.uid)):
        pool = next((key for key in sorted(snapshot.pools) if _takes(snapshot.pools[key], job, room)), None)
        if pool is not None:
            slots = held_slots(job, snapshot.pools[pool])
            room[pool] -= slots
            result[pool].append(slots)
    for pool in _kept_awake(snapshot, tally):
        result[pool].append(1)
    return result


def _waiting(snapshot: Snapshot, tally: Tally) -> Iterable[Job]:
    """Jobs that need another worker: they have none, or one that does not count any more."""
    yield from tally.crowded_out.values()
    replaced = frozenset(key for key, worker in snapshot.workers.items() if worker.replaced)
    if replaced:
        yield from (job for job in snapshot.jobs.values() if _leaves(job.record, replaced))


def _leaves(record: Record, workers: frozenset[str]) -> bool:
    """Whether the job runs on one of these workers and has no other yet."""
    return record.phase in RUNNING and record.move is None and record.held[0].id in workers


def _kept_awake(snapshot: Snapshot, tally: Tally) -> set[str]:
    """Pools that run nothing and that a job waits for, whose step none of their workers has.

    One worker stays to tell so. Were it taken away, the job would wait for any worker, one would be made for it, would
    turn out not to have the step, be taken away, and so on for ever.
    """
    missing = tally.lacking.values()
    if not missing:
        return set()
    busy = {snapshot.workers[uid].pool for uid in tally.used if uid in snapshot.workers}
    idle = [pool for key, pool in snapshot.pools.items() if key not in busy]
    return {pool.key for pool in idle if any(fits(job, pool) and refusal(pool, job) is None for job in missing)}


def _room(snapshot: Snapshot, tally: Tally) -> dict[str, int]:
    """Slots that each pool could still give, if it grew as far as it may."""
    room = {key: pool.spec.max_workers * slots_per_worker(pool) for key, pool in snapshot.pools.items()}
    for worker in snapshot.workers.values():
        if worker.pool in room and not worker.replaced:
            taken = tally.used.get(worker.id, 0)
            lacking = max(0, slots_per_worker(snapshot.pools[worker.pool]) - worker.capacity) if worker.limited else 0
            room[worker.pool] -= taken + lacking
    return room


def _takes(pool: Pool, job: Job, room: Mapping[str, int]) -> bool:
    return held_slots(job, pool) <= room[pool.key] and fits(job, pool) and refusal(pool, job) is None
