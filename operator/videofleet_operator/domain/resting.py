"""Jobs that need no look: what a plan found nothing to do for is passed over by the next ones until something changes.

Most jobs of a large cluster run and go on running. A plan that is given what the last one left makes the same decisions
as one from scratch, for a job rests only while everything that its facts are made from is the same: the job, what its
worker says of it, the worker itself, its pool, and the time up to which nothing is due.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

from videofleet_api.phases import Phase
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_operator.domain import observation
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.model import Job, Pool, Seconds, Snapshot, Worker
from videofleet_operator.domain.placement import SILENT_AFTER
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.suspicion import held_slots

_NEVER: Final = float("inf")
_identity_of = attrgetter(*(each.name for each in fields(Worker) if each.name not in ("silent_for", "reports")))
"""All of a worker but what changes all the time; a field that is added counts without being named here."""


@dataclass(frozen=True, slots=True)
class View:
    """A worker that answers, and the spec of its pool, as far as decisions on its running jobs depend on them."""

    worker: tuple[Any, ...]
    pool: WorkerPoolSpec | None


@dataclass(frozen=True, slots=True)
class Rest:
    """A running job that nothing is to be done for while this is as it is, before `until`."""

    job: Job
    worker: str
    view: View
    report: Report | None
    slots: int
    until: Seconds


@dataclass(frozen=True, slots=True)
class Resting:
    """What a plan leaves to the next one. Empty: the next one starts from scratch."""

    at: Seconds = _NEVER
    """Time of the plan. For an earlier one nothing rests: the clock was set back."""
    jobs: Mapping[str, Rest] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)


SCRATCH: Final = Resting()


@dataclass(slots=True)
class Split:
    """The jobs of a snapshot: those that rest, with what they come to together, and those that a plan looks at."""

    resting: dict[str, Rest]
    awake: list[Job]
    used: Counter[str]
    """Slots of those that rest, by worker id."""
    due: Seconds | None
    """When the first of them will be looked at by itself."""
    views: Mapping[str, View]

    def leave(self, snapshot: Snapshot, touched: Collection[str]) -> Resting:
        """What the next plan is given. `touched`: jobs with a new record; they are looked at again."""
        rests = self.resting
        for uid in touched:
            rests.pop(uid, None)
        for job in self.awake:
            if job.uid not in touched and (rest := _rest_of(job, snapshot, self.views)) is not None:
                rests[job.uid] = rest
        return Resting(snapshot.now, rests, self.views)


def split(snapshot: Snapshot, before: Resting) -> Split:
    """Which jobs still rest."""
    views = _views(snapshot, before)
    now, rests = snapshot.now, before.jobs if before.at <= snapshot.now else {}
    reports = {worker.id: worker.reports for worker in snapshot.workers.values()}
    resting: dict[str, Rest] = {}
    awake: list[Job] = []
    used: Counter[str] = Counter()
    due = _NEVER
    for uid, job in snapshot.jobs.items():
        rest = rests.get(uid)
        if (
            rest is not None
            and rest.job is job
            and now < rest.until
            and views.get(rest.worker) is rest.view
            and reports[rest.worker].get(uid) is rest.report
        ):
            resting[uid] = rest
            used[rest.worker] += rest.slots
            if rest.until < due:
                due = rest.until
        else:
            awake.append(job)
    return Split(resting, awake, used, None if due == _NEVER else due, views)


def _views(snapshot: Snapshot, before: Resting) -> dict[str, View]:
    """Workers that answer; the very view of the last plan where nothing has changed, so that it is cheap to compare."""
    views: dict[str, View] = {}
    for worker in snapshot.workers.values():
        if worker.silent_for < SILENT_AFTER:
            pool = snapshot.pools.get(worker.pool)
            view = View(_identity_of(worker), None if pool is None else pool.spec)
            known = before.views.get(worker.id)
            views[worker.id] = known if known is not None and _same(known, view) else view
    return views


def _same(one: View, other: View) -> bool:
    return one.pool is other.pool and one.worker == other.worker


def _rest_of(job: Job, snapshot: Snapshot, views: Mapping[str, View]) -> Rest | None:
    """A job that runs as it should, and that this plan left alone."""
    record = job.record
    if record.phase is not Phase.INPROGRESS or record.worker is None or record.observed_generation < job.generation:
        return None
    if record.move is not None or record.next_move is not None:
        return None
    view = views.get(record.worker.id)
    if view is None or expires_at(job, record) is not None:
        return None
    worker = snapshot.workers[record.worker.id]
    dues = (observation.next_time(job, record, worker, snapshot.now), observation.schedule_time(job, record))
    until = min((due for due in dues if due is not None), default=_NEVER)
    slots = _held(job, worker, snapshot.pools.get(record.worker.pool))
    return Rest(job, worker.id, view, worker.reports.get(job.uid), slots, until)


def _held(job: Job, worker: Worker, pool: Pool | None) -> int:
    """As `planner.used_capacity` counts it."""
    held = job.record.worker
    return held_slots(job, pool) if held is not None and worker.instance in (None, held.instance) else 0
