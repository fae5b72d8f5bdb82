"""What is left to do in the archive for jobs that nothing runs any more.

The law: a run is ended only where nothing can go on with it. That is so once the job is gone, has a later run, or says
in its status that this one is over (`completionTime`: the next placement begins a new one). What receivers do not have
of a run is told by somebody else only where no worker has that run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.finalize import Finalize, Notes, RunEnd, Untold
from videofleet_api.outputs import DeletionPolicy
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.backoff import over_without_success
from videofleet_operator.domain.model import Failure, Job, Pool, Record, Worker
from videofleet_operator.domain.placement import answers
from videofleet_operator.domain.suspicion import given_up

AT_ONCE: Final = 64
"""So many a worker has at a time: each set tells all of them again."""

ArchiveId = tuple[str, ...]
"""Which archive: workers with the same one reach the same results."""
Able = Mapping[ArchiveId, Mapping[str, Worker]]
"""The workers that answer, by archive and pod uid."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something to be done in an archive. `worker`: the pod (uid) that wrote there last, where that is known: it may
    have results that it seals first."""

    wanted: Finalize
    archive: ArchiveId
    worker: str | None = None


def archive_of(pool: Pool) -> ArchiveId | None:
    """The archive of a pool's workers; None where each has its own, which goes with its pod."""
    archive = pool.spec.archive
    if archive is None:
        return None
    if archive.s3 is not None:
        return "s3", archive.s3.endpoint or archive.s3.region, archive.s3.bucket, archive.s3.prefix
    return "claim", pool.namespace, archive.claim_name or ""


def last_over(record: Record) -> int:
    """The last run that nothing goes on with; all before it are over, too."""
    return record.run if record.completed is not None and record.phase not in ASSIGNED else max(0, record.run - 1)


def is_due(before: Job, now: Job | None) -> bool:
    """Whether what has become of a job leaves something to do in the archive. `now`: None, it is gone."""
    if now is None:
        return before.record.run > 0 and (_deletes(before) or last_over(before.record) < before.record.run)
    if _policy(before) is not _policy(now) and now.record.run > 0:
        return True
    # The end of a run that came to its end was written by its worker.
    return last_over(now.record) > last_over(before.record) and now.record.phase is not Phase.COMPLETED


def after_change(before: Job, now: Job | None) -> Finalize:
    """What is to be done after a change that `is_due`."""
    if now is None:
        over = last_over(before.record) == before.record.run
        ends = [] if over else [RunEnd(run=before.record.run, epoch=_last_epoch(before.record), reason="cancelled")]
        return _finalize(before.namespace, before.uid, ends, _policy(before), gone=True)
    ended = last_over(now.record)
    ends = [_end(now, ended)] if ended > last_over(before.record) else []
    return _finalize(now.namespace, now.uid, ends, _policy(now))


def after_look(notes: Notes, jobs: Mapping[str, Job], is_ours: Callable[[str], bool]) -> list[Finalize]:
    """What is to be done by what is noted in an archive. `is_ours`: whether all jobs of a namespace are in `jobs`."""
    return [*_over(notes, jobs, is_ours), *_untold(notes, jobs, is_ours)]


def is_told_by_another(wanted: Finalize, job: Job) -> bool:
    """Whether a worker has a run by now of which receivers are to be told, and tells them."""
    return not all(_is_free(job.record, each.run) for each in wanted.untold)


def teller(wanted: Finalize, job: Job | None, workers: Iterable[Worker]) -> str | None:
    """Which worker, by pod uid, tells receivers already, as far as is known: the one that has the job, which looks at
    its earlier runs, or else the one that wrote what it is about last."""
    if job is not None and job.record.phase in ASSIGNED and job.record.worker is not None:
        return job.record.worker.id
    wrote = max(wanted.untold, key=lambda each: each.epoch).worker
    return next((each.id for each in workers if each.instance == wrote), None)


def _over(notes: Notes, jobs: Mapping[str, Job], is_ours: Callable[[str], bool]) -> list[Finalize]:
    """What ends, and what goes with its job."""
    runs: dict[tuple[str, str], set[int]] = {(each.namespace, each.uid): set() for each in notes.deleted}
    deleted = frozenset(runs)
    for run in notes.runs:
        runs.setdefault((run.namespace, run.uid), set()).add(run.run)
    ours = sorted(each for each in runs if is_ours(each[0]))
    looked = (_looked(*each, runs[each], each in deleted, jobs.get(each[1])) for each in ours)
    return [each for each in looked if each is not None]


def choose(due: Due, holder: str | None, able: Able, busy: Counter[str]) -> str | None:
    """Which worker does it, by pod uid: who has it already, else who wrote there last, else the least busy one that
    reaches the archive. `busy`: how much of this each has. None: nobody can now."""
    there = able.get(due.archive, {})
    if holder in there:
        return holder
    free = [uid for uid in there if busy[uid] < AT_ONCE]
    if due.worker in free:
        return due.worker
    return min(free, key=lambda uid: (busy[uid], len(there[uid].reports), uid), default=None)


def by_archive(pools: Mapping[str, Pool], workers: Iterable[Worker]) -> Able:
    """The workers that answer and reach an archive that others reach, too."""
    found: dict[ArchiveId, dict[str, Worker]] = {}
    archives = {key: archive_of(pool) for key, pool in pools.items()}
    for worker in workers:
        archive = archives.get(worker.pool)
        if archive is not None and answers(worker):
            found.setdefault(archive, {})[worker.id] = worker
    return found


def _untold(notes: Notes, jobs: Mapping[str, Job], is_ours: Callable[[str], bool]) -> list[Finalize]:
    """Whose receivers are to be told what they do not have. Those of a job that is gone are not known any more."""
    found: dict[tuple[str, str], list[Untold]] = {}
    for each in notes.untold:
        job = jobs.get(each.uid)
        if is_ours(each.namespace) and (job is None or _is_free(job.record, each.run)):
            found.setdefault((each.namespace, each.uid), []).append(each)
    return [_told(*key, found[key], jobs.get(key[1])) for key in sorted(found)]


def _told(namespace: str, uid: str, untold: list[Untold], job: Job | None) -> Finalize:
    key = "/".join((uid, "untold", *sorted(f"{each.run}.{each.epoch}.{each.worker}" for each in untold)))
    name = "" if job is None else job.name
    return Finalize(key=key, uid=uid, namespace=namespace, name=name, untold=untold, gone=job is None)


def _is_free(record: Record, run: int) -> bool:
    """Whether no worker has this run."""
    return run < record.run or record.phase not in ASSIGNED


def _looked(namespace: str, uid: str, runs: Iterable[int], deletes: bool, job: Job | None) -> Finalize | None:
    """What is to be done for one job by the notes of it: these runs, and whether its results go with it."""
    if job is None:
        ends = [RunEnd(run=run, reason="cancelled") for run in sorted(runs)]
        return _finalize(namespace, uid, ends, None, gone=True)
    ends = [_end(job, run) for run in sorted(runs) if run <= last_over(job.record)]
    if not ends and deletes is _deletes(job):
        return None
    return _finalize(namespace, uid, ends, _policy(job))


def _end(job: Job, run: int) -> RunEnd:
    """How a run ends that is over."""
    record = job.record
    if run < record.run:
        return RunEnd(run=run, reason="cancelled")
    names = [each.name for each in job.spec.analytics] if job.spec.outputs.archive.enabled else []
    end = RunEnd(run=run, epoch=_last_epoch(record), reason="cancelled", analytics=names)
    if not over_without_success(record, job.spec.restart):
        return end
    error = record.last_error
    # Crashes of its workers are no error that one of them has reported.
    if error is None or given_up(record):
        error = Failure(ErrorCode.INTERNAL, record.message, record.since)
    return end.model_copy(update={"reason": "error", "code": error.code, "message": error.message})


def _last_epoch(record: Record) -> int:
    return max(1, record.next_epoch - 1)


def _finalize(
    namespace: str, uid: str, ends: list[RunEnd], deletion: DeletionPolicy | None, *, gone: bool = False
) -> Finalize:
    told = [f"{each.run}.{each.epoch or ''}.{each.reason}" for each in ends]
    key = "/".join((uid, "gone" if gone else "", deletion or "", *told))
    return Finalize(key=key, uid=uid, namespace=namespace, ends=ends, deletion=deletion, gone=gone)


def _policy(job: Job) -> DeletionPolicy:
    return job.spec.outputs.archive.deletion_policy


def _deletes(job: Job) -> bool:
    return _policy(job) is DeletionPolicy.DELETE
