"""Running jobs leave workers that drain, or that hold more than they should."""

from videofleet_api.codes import Reason
from videofleet_api.workerpool import DrainMode
from videofleet_operator.domain import facts, suspicion
from videofleet_operator.domain.draft import Draft, assigned, verdict_of
from videofleet_operator.domain.draining import (
    RELIEF_INTERVAL,
    Departure,
    departure,
    last_relief,
    why_draining,
)
from videofleet_operator.domain.model import Job, Why, Worker
from videofleet_operator.domain.placement import Answer, Capacity, room


def empty_workers(draft: Draft, capacity: Capacity) -> None:
    """Jobs leave workers that drain, the more important ones first."""
    suspects = [worker for worker in draft.snapshot.workers.values() if worker.drain or worker.leaving]
    draining = {worker.id: why for worker in suspects if (why := why_draining(worker))}
    if not draining:
        return
    jobs = draft.snapshot.jobs.values()
    leaving = [job for job in jobs if job.record.worker is not None and job.record.worker.id in draining]
    for job in sorted(leaving, key=lambda job: (-job.spec.priority, job.created, job.uid)):
        worker = draft.worker(draft.record(job))
        if worker is not None and worker.id in draining and not draft.moved(job):
            _depart(draft, capacity, job, worker, draining[worker.id])


def _depart(draft: Draft, capacity: Capacity, job: Job, worker: Worker, why: Why) -> None:
    pool = draft.snapshot.pools.get(worker.pool)
    mode = DrainMode.MAKE_BEFORE_BREAK if pool is None else pool.spec.drain.mode
    way = departure(job, draft.record(job), mode, draft.snapshot.now)
    if way is Departure.STOP:
        draft.apply(job, facts.Evicted(why))
    elif way is not None:
        _go_elsewhere(draft, capacity, job, why, overlap=way is Departure.MOVE)


def _go_elsewhere(draft: Draft, capacity: Capacity, job: Job, why: Why, *, overlap: bool) -> bool:
    """Whether there is room for the job elsewhere; then it moves there, or stops so that it is placed there next."""
    verdict, excluded = verdict_of(draft, job, capacity)
    if verdict.answer is not Answer.FITS:
        return False
    capacity.add(verdict, job.spec.slots, alone=suspicion.alone(job.record))
    draft.apply(job, facts.Readmitted(excluded))
    draft.apply(job, facts.MoveBegun(assigned(verdict)) if overlap else facts.Evicted(why))
    return True


def relieve(draft: Draft, capacity: Capacity, job: Job) -> None:
    """The job leaves its worker, which holds more than it may: the pool's capacity was lowered, or the worker's."""
    snapshot = draft.snapshot
    worker = draft.worker(draft.record(job))
    if worker is None or draft.moved(job):
        return
    last = last_relief(snapshot.jobs.values())
    if last is not None and snapshot.now < last + RELIEF_INTERVAL:
        return
    limit = room(worker, snapshot.pools[worker.pool])
    because = f" (it {worker.limited})" if worker.limited else ""
    why = Why(Reason.SHED, f"worker {worker.name} may hold {limit} slots now, and this stream gave way{because}")
    overlap = departure(job, draft.record(job), DrainMode.MAKE_BEFORE_BREAK, snapshot.now) is Departure.MOVE
    if not _go_elsewhere(draft, capacity, job, why, overlap=overlap):
        draft.apply(job, facts.Evicted(why))
