"""Jobs that need no look: what a plan found nothing to do for is passed over by the next ones until something changes.

Most jobs of a large cluster run and go on running. A plan that is given what the last one left makes the same decisions
as one from scratch, for a job rests only while everything that its facts are made from is the same: the job, what its
worker says of it, the worker itself, its pool, and the time up to which nothing is due. What is found anew by each plan
is only which objects are others than before; the rest is carried on from the last one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain, compress, filterfalse
from operator import attrgetter, is_not
from typing import Any, Final, NamedTuple

from videofleet_api.phases import Phase
from videofleet_operator.domain import observation
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.model import Job, Pool, Seconds, Snapshot, Worker
from videofleet_operator.domain.placement import SILENT_AFTER
from videofleet_operator.domain.suspicion import held_slots

_NEVER: Final = float("inf")
_identity_of = attrgetter(*(each.name for each in fields(Worker) if each.name not in ("silent_for", "reports")))
"""All of a worker but what changes all the time; a field that is added counts without being named here."""


class View(NamedTuple):
    """A worker that answers, and its pool."""

    worker: Worker
    pool: Pool | None

    def same(self, other: "View") -> bool:
        """Whether it is another in nothing but what it says of its jobs and when it was heard."""
        if (self.pool and self.pool.spec) is not (other.pool and other.pool.spec):
            return False
        return self.worker is other.worker or bool(_identity_of(self.worker) == _identity_of(other.worker))


@dataclass(frozen=True, slots=True)
class Resting:
    """What a plan leaves to the next one. Empty: the next one starts from scratch."""

    at: Seconds = _NEVER
    """Time of the plan. For an earlier one nothing rests: the clock was set back."""
    jobs: Mapping[str, Job] = field(default_factory=dict)
    """All that there were, by uid; the snapshot's own mapping, which nobody changes."""
    restless: Mapping[str, Job] = field(default_factory=dict)
    """Those that the next plan looks at in any case."""
    due: Mapping[str, Seconds] = field(default_factory=dict)
    """When some that rest have to be looked at again although nothing changes, by uid."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Slots of those that rest, by worker id."""
    views: Mapping[str, View] = field(default_factory=dict)
    """By worker id."""

    def rests(self, uid: str) -> bool:
        """Whether nobody has to look at the job while nothing changes."""
        return uid in self.jobs and uid not in self.restless


SCRATCH: Final = Resting()


@dataclass(slots=True)
class Split:
    """What a plan looks at, and what those that rest come to together."""

    before: Resting
    awake: dict[str, Job]
    due: dict[str, Seconds]
    used: Counter[str]
    views: Mapping[str, View]

    def wake(self, jobs: Iterable[Job]) -> None:
        """Look at these, too."""
        for job in jobs:
            if job.uid not in self.awake:
                self.awake[job.uid] = job
                self._no_rest(job.uid)

    def leave(self, snapshot: Snapshot, records: Mapping[str, object]) -> Resting:
        """What the next plan is given. Jobs with a new record are looked at again."""
        restless = {}
        for uid, job in self.awake.items():
            if uid in records or not _may_rest(job, self.views):
                restless[uid] = job
            else:
                self._rest(job, snapshot)
        return Resting(snapshot.now, snapshot.jobs, restless, self.due, self.used, self.views)

    def _no_rest(self, uid: str) -> None:
        """The job, as it was, counts no longer."""
        if not self.before.rests(uid):
            return
        job = self.before.jobs[uid]
        view = _view_of(job, self.before.views)
        self.due.pop(uid, None)
        self.used[view.worker.id] -= _held(job, view)
        if not self.used[view.worker.id]:
            del self.used[view.worker.id]

    def _rest(self, job: Job, snapshot: Snapshot) -> None:
        view = _view_of(job, self.views)
        self.used[view.worker.id] += _held(job, view)
        change = observation.next_time(job, job.record, view.worker, snapshot.now)
        dues = [due for due in (change, observation.schedule_time(job, job.record)) if due is not None]
        if dues:
            self.due[job.uid] = min(dues)


def split(snapshot: Snapshot, before: Resting) -> Split:
    """Which jobs still rest. What `before` holds is not changed."""
    if before.at > snapshot.now:
        before = SCRATCH
    jobs, views = snapshot.jobs, _views(snapshot)
    others = _others(before.jobs, jobs)
    parts = Split(before, {}, dict(before.due), Counter(before.used), views)
    parts.wake(jobs[uid] for uid in others)
    parts.wake(jobs[uid] for uid in chain(before.restless, _called(snapshot, before, views)) if uid in jobs)
    there_were = len(jobs) - sum(uid not in before.jobs for uid in others)
    if there_were < len(before.jobs):
        for uid in filterfalse(jobs.__contains__, before.jobs):
            parts._no_rest(uid)
    return parts


def _views(snapshot: Snapshot) -> dict[str, View]:
    """Workers that answer."""
    pools, workers = snapshot.pools, snapshot.workers.values()
    return {each.id: View(each, pools.get(each.pool)) for each in workers if each.silent_for < SILENT_AFTER}


def _called(snapshot: Snapshot, before: Resting, views: Mapping[str, View]) -> Iterator[str]:
    """Uids of jobs that have rested long enough, or that something has changed for outside of them."""
    now = snapshot.now
    yield from (uid for uid, due in before.due.items() if due <= now)
    upset = set[str]()
    for key, last in before.views.items():
        view = views.get(key)
        if view is None or not view.same(last):
            upset.add(key)
        elif view.worker is not last.worker and view.worker.reports != last.worker.reports:
            yield from _others(last.worker.reports, view.worker.reports)
            yield from last.worker.reports.keys() - view.worker.reports.keys()
    for uid, job in before.jobs.items() if upset else ():
        if job.record.worker is not None and job.record.worker.id in upset:
            yield uid


def _others(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Keys of what is not the very object that it was. Every plan compares 10,000 here: it is no loop of Python's."""
    return list(compress(now, map(is_not, map(before.get, now), now.values())))


def _may_rest(job: Job, views: Mapping[str, View]) -> bool:
    """Whether the job runs as it should, on a worker that answers. That the plan left it alone goes without saying."""
    record = job.record
    if record.phase is not Phase.INPROGRESS or record.worker is None or record.observed_generation < job.generation:
        return False
    if record.move is not None or record.next_move is not None:
        return False
    return record.worker.id in views and expires_at(job, record) is None


def _view_of(job: Job, views: Mapping[str, View]) -> View:
    """Of a job that rests, so that it has a worker that answers."""
    if job.record.worker is None:
        raise ValueError(f"job {job.uid} rests without a worker")
    return views[job.record.worker.id]


def _held(job: Job, view: View) -> int:
    """As `planner.used_capacity` counts it."""
    held = job.record.worker
    return held_slots(job, view.pool) if held is not None and view.worker.instance in (None, held.instance) else 0
