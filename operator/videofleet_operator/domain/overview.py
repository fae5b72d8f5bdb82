"""What pools, workers and jobs do now, in figures, from what the workers told last."""

from collections.abc import Iterable, Sequence

from videofleet_api.codes import DropCause
from videofleet_api.explain import JobLoad, PoolLoad, Top, WorkerLoad
from videofleet_operator.domain.model import Job, Pool, Snapshot, Worker
from videofleet_operator.domain.observation import current_report
from videofleet_operator.domain.placement import answers, room
from videofleet_operator.domain.planner import used_capacity
from videofleet_operator.domain.reports import NOTHING, Counters


def top(snapshot: Snapshot, namespaces: frozenset[str]) -> Top:
    """Pools, their workers, and jobs of the namespaces. Sums of a worker count all of its jobs, whosoever they are."""
    on_worker: dict[str, list[Job]] = {}
    for job in snapshot.jobs.values():
        if job.record.worker is not None:
            on_worker.setdefault(job.record.worker.id, []).append(job)
    used = used_capacity(snapshot)
    by_pool: dict[str, list[WorkerLoad]] = {
        key: [] for key in sorted(snapshot.pools) if snapshot.pools[key].namespace in namespaces
    }
    for worker in sorted(snapshot.workers.values(), key=lambda worker: worker.name):
        if worker.pool in by_pool:
            jobs = on_worker.get(worker.id, ())
            by_pool[worker.pool].append(_worker_load(worker, snapshot.pools[worker.pool], used[worker.id], jobs))
    own = (job for job in snapshot.jobs.values() if job.namespace in namespaces)
    return Top(
        pools=[_pool_load(key, workers) for key, workers in by_pool.items()],
        workers=[worker for workers in by_pool.values() for worker in workers],
        jobs=[_job_load(job, snapshot) for job in sorted(own, key=lambda job: (job.namespace, job.name))],
    )


def _pool_load(key: str, workers: Sequence[WorkerLoad]) -> PoolLoad:
    return PoolLoad(
        pool=key,
        workers_ready=sum(worker.ready for worker in workers),
        workers=len(workers),
        slots_used=sum(worker.slots_used for worker in workers),
        slots_total=sum(worker.slots_total for worker in workers if worker.ready),
        jobs=sum(worker.jobs for worker in workers),
        fps=_rounded(sum(worker.fps for worker in workers)),
        dropped=sum(worker.dropped for worker in workers),
        restarts=sum(worker.restarts for worker in workers),
    )


def _worker_load(worker: Worker, pool: Pool, used: int, jobs: Sequence[Job]) -> WorkerLoad:
    told = [_progress(job, worker) for job in jobs]
    return WorkerLoad(
        name=worker.name,
        pool=worker.pool,
        node=worker.node,
        ready=answers(worker),
        slots_used=used,
        slots_total=room(worker, pool),
        jobs=len(jobs),
        fps=_rounded(sum(each.processed_fps or 0.0 for each in told)),
        dropped=sum(_dropped(told)),
        restarts=sum(job.record.restarts for job in jobs),
    )


def _job_load(job: Job, snapshot: Snapshot) -> JobLoad:
    held = job.record.worker
    told = _progress(job, None if held is None else snapshot.workers.get(held.id))
    return JobLoad(
        namespace=job.namespace,
        name=job.name,
        phase=job.record.phase,
        reason=job.record.reason,
        worker=None if held is None else held.name,
        node=None if held is None else held.node,
        fps=told.processed_fps,
        source_fps=told.source_fps,
        dropped=sum(_dropped([told])),
        restarts=job.record.restarts,
    )


def _progress(job: Job, worker: Worker | None) -> Counters:
    """The counters of the job's current epoch."""
    report = current_report(job, job.record, worker)
    return NOTHING if report is None else report.progress


def _dropped(told: Iterable[Counters]) -> Iterable[int]:
    """What sampling leaves out is not lost: nobody wanted it."""
    counts = (pair for each in told for pair in each.dropped_frames.items())
    return (count for cause, count in counts if cause != DropCause.SAMPLING)


def _rounded(rate: float) -> float:
    return round(rate, 1)
