"""Jobs that need no look: what a plan found nothing to do for is passed over by the next ones until something changes.

Most jobs of a large cluster run and go on running. A plan that is given what the last one left makes the same decisions
as one from scratch, for a job rests only while everything that its facts are made from is the same: the job, what its
worker says of it, the worker itself, its pool, and the time up to which nothing is due. What is found anew by each plan
is only which objects are others than before; the rest is carried on from the last one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from operator import attrgetter
from typing import Final

from videofleet_api.phases import Phase
from videofleet_operator.domain import observation
from videofleet_operator.domain.differences import gone, replaced
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.model import Assigned, Job, Seconds, Snapshot, Worker
from videofleet_operator.domain.placement import SILENT_AFTER
from videofleet_operator.domain.suspicion import held_slots

_identity_of = attrgetter(*(each.name for each in fields(Worker) if each.name not in ("silent_for", "reports")))
"""All of a worker but what changes all the time; a field that is added counts without being named here."""
_BEFORE_ALL: Final = Snapshot(float("inf"), {}, {}, {})


@dataclass(frozen=True, slots=True)
class Resting:
    """What a plan leaves to the next one. Empty: the next one starts from scratch."""

    seen: Snapshot = _BEFORE_ALL
    """What the plan was made from; nobody changes it. For an earlier one nothing rests: the clock was set back."""
    restless: Mapping[str, Job] = field(default_factory=dict)
    """Jobs that the next plan looks at in any case, by uid."""
    due: Mapping[str, Seconds] = field(default_factory=dict)
    """When some that rest have to be looked at again although nothing changes, by uid."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Slots of those that rest, by worker id; only workers that have some."""

    def rests(self, uid: str) -> bool:
        """Whether nobody has to look at the job while nothing changes."""
        return uid in self.seen.jobs and uid not in self.restless


SCRATCH: Final = Resting()


@dataclass(slots=True)
class Split:
    """What a plan looks at, and what those that rest come to together."""

    before: Resting
    awake: dict[str, Job]
    due: dict[str, Seconds]
    used: Counter[str]

    def wake(self, jobs: Iterable[Job]) -> None:
        """Look at these, too."""
        for job in jobs:
            if job.uid not in self.awake:
                self.awake[job.uid] = job
                self.forget(job.uid)

    def forget(self, uid: str) -> None:
        """The job, as it was, counts no longer."""
        if not self.before.rests(uid):
            return
        job = self.before.seen.jobs[uid]
        held = _held(job)
        self.due.pop(uid, None)
        self.used[held.id] -= held_slots(job, self.before.seen.pools.get(held.pool))
        if not self.used[held.id]:
            del self.used[held.id]

    def leave(self, snapshot: Snapshot, records: Mapping[str, object]) -> Resting:
        """What the next plan is given. Jobs with a new record are looked at again."""
        restless = {}
        for uid, job in self.awake.items():
            if uid in records or not _may_rest(job, snapshot):
                restless[uid] = job
            else:
                self._lay(job, snapshot)
        return Resting(snapshot, restless, self.due, self.used)

    def _lay(self, job: Job, snapshot: Snapshot) -> None:
        held = _held(job)
        self.used[held.id] += held_slots(job, snapshot.pools.get(held.pool))
        change = observation.next_time(job, job.record, snapshot.workers[held.id], snapshot.now, snapshot.led_since)
        dues = [due for due in (change, observation.schedule_time(job, job.record)) if due is not None]
        if dues:
            self.due[job.uid] = min(dues)


def split(snapshot: Snapshot, before: Resting) -> Split:
    """Which jobs still rest. What `before` holds is not changed."""
    if before.seen.now > snapshot.now:
        before = SCRATCH
    jobs, known = snapshot.jobs, before.seen.jobs
    others = replaced(known, jobs)
    parts = Split(before, {}, dict(before.due), Counter(before.used))
    parts.wake(jobs[uid] for uid in others)
    parts.wake(jobs[uid] for uid in chain(before.restless, _called(snapshot, before)) if uid in jobs)
    still_there = len(jobs) - sum(uid not in known for uid in others)
    if still_there < len(known):
        for uid in gone(known, jobs):
            parts.forget(uid)
    return parts


def _called(snapshot: Snapshot, before: Resting) -> Iterator[str]:
    """Uids of jobs that have rested long enough, or that something has changed for outside of them."""
    now = snapshot.now
    yield from (uid for uid, due in before.due.items() if due <= now)
    edited, upset = _edited(snapshot, before.seen), set[str]()
    for key in before.used:
        last, worker = before.seen.workers[key], snapshot.workers.get(key)
        if worker is None or not _same(worker, last) or worker.pool in edited:
            upset.add(key)
        elif worker is not last and worker.reports != last.reports:
            yield from replaced(last.reports, worker.reports)
            yield from last.reports.keys() - worker.reports.keys()
    for uid, job in before.seen.jobs.items() if upset else ():
        if job.record.worker is not None and job.record.worker.id in upset:
            yield uid


def _edited(snapshot: Snapshot, before: Snapshot) -> set[str]:
    """Pools with another spec than before, those that came or went among them."""
    old, new = ({key: pool.spec for key, pool in each.pools.items()} for each in (before, snapshot))
    return {key for key in old.keys() | new.keys() if old.get(key) is not new.get(key)}


def _same(worker: Worker, last: Worker) -> bool:
    """Whether it is another in nothing but what it says of its jobs and when it was heard."""
    return worker is last or (worker.silent_for < SILENT_AFTER and bool(_identity_of(worker) == _identity_of(last)))


def _may_rest(job: Job, snapshot: Snapshot) -> bool:
    """Whether the job runs as it should, on a worker that answers. That the plan left it alone goes without saying."""
    record = job.record
    if record.phase is not Phase.INPROGRESS or record.worker is None or record.observed_generation < job.generation:
        return False
    if record.move is not None or record.next_move is not None:
        return False
    worker = snapshot.workers.get(record.worker.id)
    if worker is None or worker.silent_for >= SILENT_AFTER or worker.instance not in (None, record.worker.instance):
        return False
    return expires_at(job, record) is None


def _held(job: Job) -> Assigned:
    if job.record.worker is None:
        raise ValueError(f"job {job.uid} rests without a worker")
    return job.record.worker
