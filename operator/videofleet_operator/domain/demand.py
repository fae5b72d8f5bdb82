"""Which pool has to make room for the jobs that wait."""

from collections.abc import Iterable, Mapping
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Job, Pool, Snapshot

_MORE_WORKERS_HELP: Final = frozenset({Reason.WORKERS_FULL, Reason.NO_READY_WORKER})


def waiting_slots(snapshot: Snapshot) -> dict[str, list[int]]:
    """Slots of the jobs that wait for more workers, by the pool that should have them.

    A job counts for one pool only, the first by name that takes it and may still grow, or several would start workers
    for the same job.
    """
    room = _room(snapshot)
    result: dict[str, list[int]] = {key: [] for key in snapshot.pools}
    for job in sorted(_waiting(snapshot.jobs.values()), key=lambda job: (-job.spec.priority, job.created, job.uid)):
        pool = next((key for key in sorted(snapshot.pools) if _takes(snapshot.pools[key], job, room)), None)
        if pool is not None:
            room[pool] -= job.spec.slots
            result[pool].append(job.spec.slots)
    return result


def used_slots(snapshot: Snapshot) -> dict[str, int]:
    """Slots that jobs hold, by worker id; workers without a job are not in it."""
    used: dict[str, int] = {}
    for job in snapshot.jobs.values():
        worker = job.record.worker
        if worker is not None and job.record.phase in ASSIGNED:
            used[worker.id] = used.get(worker.id, 0) + job.spec.slots
    return used


def _waiting(jobs: Iterable[Job]) -> Iterable[Job]:
    for job in jobs:
        if job.record.phase is Phase.AWAITING and job.record.reason in _MORE_WORKERS_HELP:
            yield job


def _room(snapshot: Snapshot) -> dict[str, int]:
    """Slots that each pool could still give, if it grew as far as it may."""
    room = {key: pool.spec.max_workers * pool.spec.capacity_per_worker for key, pool in snapshot.pools.items()}
    used = used_slots(snapshot)
    for worker in snapshot.workers.values():
        if worker.pool in room:
            room[worker.pool] -= used.get(worker.id, 0)
    return room


def _takes(pool: Pool, job: Job, room: Mapping[str, int]) -> bool:
    slots = job.spec.slots
    return room[pool.key] >= slots and slots <= pool.spec.capacity_per_worker and refusal(pool, job) is None
