"""Which running jobs have to leave their worker, and how: by a move, or without one."""

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_api.workerpool import DrainMode
from videofleet_operator.domain import moves
from videofleet_operator.domain.isolation import slots_of, slots_per_worker
from videofleet_operator.domain.licence import giving_way
from videofleet_operator.domain.model import Job, Record, Seconds, Snapshot, Why, Worker
from videofleet_operator.domain.placement import answers, room

RELIEF_INTERVAL: Final[Seconds] = 1.0
"""One stream a second leaves workers that hold more than they should."""


class Departure(StrEnum):
    """How a job leaves its worker."""

    MOVE = "move"
    """It goes on until another worker has processed a frame."""
    STOP_WITH_ROOM = "stop with room"
    """It processes no frame that could be lost: it stops here as soon as another worker has room."""
    STOP = "stop"
    """It stops here, wherever it goes on."""


def why_draining(worker: Worker) -> Why | None:
    """Why the worker's jobs are to go elsewhere while it still answers; None: they stay."""
    if worker.drain:
        return Why(Reason.DRAINING, f"worker {worker.name} {worker.drain}")
    if worker.leaving and worker.connected:
        return Why(Reason.DRAINING, f"worker {worker.name} is being taken away")
    return None


def departure(job: Job, record: Record, mode: DrainMode, now: Seconds) -> Departure | None:
    """How a job on a worker that drains leaves it; None: not now, or it has nothing there that runs."""
    if record.phase not in RUNNING or record.move is not None:
        return None
    if mode is DrainMode.STOP:
        return Departure.STOP
    if record.phase is Phase.STARTING or record.reason is Reason.RECONNECTING:
        return Departure.STOP_WITH_ROOM
    return Departure.MOVE if _known(job, record) and moves.may_begin(record, now) else None


def to_relieve(snapshot: Snapshot, used: Mapping[str, int]) -> Job | None:
    """The job that leaves a worker which holds more than it should: the newest of the lowest priority.

    `used`: slots by worker id, those of both workers of a move. What moves away counts as gone.
    """
    over = _overfull(snapshot, used)
    jobs = [job for job in snapshot.jobs.values() if _holds(job.record, over)] if over else []
    candidates = [job for job in jobs if _may_be_relieved(job, snapshot.now)]
    return max(candidates, key=giving_way, default=None)


def last_relief(jobs: Iterable[Job]) -> Seconds | None:
    """When a job left such a worker last, as far as the records tell."""
    times = [time for job in jobs if (time := _gave_way(job.record)) is not None]
    return max(times, default=None)


def _overfull(snapshot: Snapshot, used: Mapping[str, int]) -> frozenset[str]:
    suspects = {key: 0 for key in _beyond(snapshot, used) if used[key] > _room(snapshot, key)}
    # What is used counts both workers of a move, and all of a worker for a job that runs alone.
    for job in snapshot.jobs.values() if suspects else ():
        stays = job.record.worker if job.record.move is None else job.record.move.worker
        if job.record.phase in ASSIGNED and stays is not None and stays.id in suspects:
            suspects[stays.id] += slots_of(job, snapshot.pools.get(stays.pool))
    return frozenset(key for key, slots in suspects.items() if slots > _room(snapshot, key))


def _beyond(snapshot: Snapshot, used: Mapping[str, int]) -> list[str]:
    """Workers that may hold more than they should: few, so that the others need no closer look."""
    rooms = {key: slots_per_worker(pool) for key, pool in snapshot.pools.items()}
    workers = snapshot.workers
    known = [(key, slots, workers[key]) for key, slots in used.items() if key in workers]
    return [key for key, slots, worker in known if slots > worker.capacity or slots > rooms.get(worker.pool, slots)]


def _room(snapshot: Snapshot, key: str) -> float:
    """What a worker may hold; without limit where nothing is to be done about it."""
    worker = snapshot.workers.get(key)
    pool = None if worker is None else snapshot.pools.get(worker.pool)
    watched = worker is not None and pool is not None and answers(worker) and not worker.drain
    return room(worker, pool) if watched and worker is not None and pool is not None else math.inf


def _holds(record: Record, workers: frozenset[str]) -> bool:
    return record.phase in RUNNING and record.worker is not None and record.worker.id in workers


def _may_be_relieved(job: Job, now: Seconds) -> bool:
    record = job.record
    return record.move is None and (record.next_move is None or record.next_move <= now)


def _gave_way(record: Record) -> Seconds | None:
    if record.move is not None:
        return record.move.since
    return record.since if record.phase is Phase.AWAITING and record.reason is Reason.SHED else None


def _known(job: Job, record: Record) -> bool:
    """Whether another worker can be given what this one runs."""
    return job.digest is not None and job.digest == record.spec_digest
