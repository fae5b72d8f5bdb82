"""One plan: from everything that is known now to the records that should be written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain import exclusion, facts, licence, observation, suspicion
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.hosts import HostLedger
from videofleet_operator.domain.lifecycle import advance, waits
from videofleet_operator.domain.model import Assigned, Excluded, Job, Plan, Record, Seconds, Snapshot, Why, Worker
from videofleet_operator.domain.placement import SILENT_AFTER, Answer, Capacity, Verdict
from videofleet_operator.domain.preemption import Bid, Preemptor, preempting_pools
from videofleet_operator.domain.records import Context, changed
from videofleet_operator.domain.shares import Shares, in_turn
from videofleet_operator.domain.shelf import Terms

_UNKNOWN_PAYLOAD: Final = Why(Reason.PENDING, "what the worker will be given is not known yet")
_OTHERS_MAY_YIELD: Final = frozenset(
    {Reason.WORKERS_FULL, Reason.NO_EMPTY_WORKER, Reason.NAMESPACE_SHARE_USED, Reason.LICENCE_EXHAUSTED}
)
"""What a job may wait for that less important ones have."""
_PATIENCE: Final[Seconds] = 5.0
"""How long a new job may stay without a status while its Secrets are being read: most need one write less so."""


@dataclass(slots=True)
class _Draft:
    """A plan in the making. A record takes at most one edge in it, so that every edge is seen by whoever watches."""

    snapshot: Snapshot
    records: dict[str, Record] = field(default_factory=dict)
    waiting: dict[str, Why] = field(default_factory=dict)
    hosts: HostLedger = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = HostLedger(self.snapshot.pace, self.snapshot.buckets, self.snapshot.now)

    def record(self, job: Job) -> Record:
        return self.records.get(job.uid, job.record)

    def moved(self, job: Job) -> bool:
        return self.record(job).phase is not job.record.phase

    def worker(self, record: Record) -> Worker | None:
        return None if record.worker is None else self.snapshot.workers.get(record.worker.id)

    def apply(self, job: Job, fact: Fact) -> None:
        record = self.record(job)
        after = advance(record, fact, _context(job), self.snapshot.now)
        if after is not record:
            self.records[job.uid] = after


def plan(snapshot: Snapshot) -> Plan:
    """What should be written now, and when to look again.

    Slots and capacity that this plan frees are not given away in it: the writes that free them may still fail.
    """
    draft = _Draft(snapshot)
    jobs = list(snapshot.jobs.values())
    # 1. to 3. What workers, specs and the clock say of each job
    for job in jobs:
        _observe(draft, job)
    # 4. One stream gives way if the licence allows fewer than run
    _shed(draft)
    used, shares = used_capacity(snapshot), Shares(snapshot.pools, jobs)
    capacity = Capacity(snapshot.pools, snapshot.workers, used, shares)
    # 5. Those that wait go where there is room, in their order
    licensed = _place(draft, capacity, in_turn(_queue(draft, jobs), shares))
    # 6. For what found no place, less important jobs may have to give way
    if preempting_pools(snapshot.pools):
        _preempt(draft, capacity, Preemptor(snapshot, _with_placed(draft, used), licensed, shares))
    # 7. When to look again
    records = {job.uid: record for job in jobs if (record := _visited(job, draft, snapshot.now)) != job.record}
    waking = _wake(draft, jobs, records)
    return Plan(records, waking, draft.waiting, _expired(snapshot, records), draft.hosts.buckets())


def starting_order(job: Job, record: Record) -> tuple[int, Seconds, str]:
    """The one order in which jobs start: priority, waiting time, uid. What never ran waits since it was created."""
    return -job.spec.priority, job.created if record.epoch == 0 else record.since, job.uid


def _context(job: Job) -> Context:
    return Context(job.uid, job.generation, job.spec.single_pass, job.spec.restart)


def _observe(draft: _Draft, job: Job) -> None:
    """Facts of one job, until one of them takes it along an edge."""
    now = draft.snapshot.now
    run = observation.run_fact(job, job.record)
    if run is not None:
        draft.apply(job, run)
    worker = draft.worker(job.record)
    fact = observation.worker_fact(job, job.record, worker, now)
    if fact is not None:
        draft.apply(job, fact)
        if draft.moved(job):
            return
    record = draft.record(job)
    pool = None if worker is None else draft.snapshot.pools.get(worker.pool)
    fact = observation.spec_fact(job, record, pool)
    if fact is not None:
        draft.apply(job, fact)
        if draft.moved(job):
            return
    fact = observation.time_fact(job, record, worker, now)
    if fact is not None:
        draft.apply(job, fact)


def _shed(draft: _Draft) -> None:
    job = licence.to_shed(draft.snapshot, licence.last_shed(draft.snapshot))
    if job is None or draft.moved(job):
        return
    limit = draft.snapshot.licence.limit
    draft.apply(job, facts.Shed(Why(Reason.SHED, f"the licence now allows {limit} streams, and this one gave way")))


def _queue(draft: _Draft, jobs: Iterable[Job]) -> list[Job]:
    """Jobs that may be placed now, in the order of starting."""
    ready = [job for job in jobs if not draft.moved(job) and _may_be_placed(draft, job)]
    return sorted(ready, key=lambda job: starting_order(job, job.record))


def _may_be_placed(draft: _Draft, job: Job) -> bool:
    record, now = draft.record(job), draft.snapshot.now
    if record.phase in (Phase.INPROGRESS, Phase.STARTING, Phase.DISABLED):
        return False
    return waits(record, job.spec.restart, now) or observation.lost_for_good(record, draft.worker(record), now)


def _place(draft: _Draft, capacity: Capacity, queue: Iterable[Job]) -> int:
    """Returns how many slots of the licence are in use then, with those that this plan gives."""
    snapshot = draft.snapshot
    used_slots = licence.used(snapshot)
    for job in queue:
        if _undecided(job) and not _overdue(job, snapshot.now):
            draft.waiting[job.uid] = job.problem or _UNKNOWN_PAYLOAD
            continue
        # A lost job still holds its own slot; it is the others that must leave room for it.
        own = licence.holds_slot(job, draft.record(job), snapshot.licence)
        fact = _placement(draft, job, capacity, used_slots - own)
        if not isinstance(fact, facts.Throttled) or job.record.observed_generation or _overdue(job, snapshot.now):
            draft.apply(job, fact)
        if isinstance(fact, facts.Placed):
            used_slots += licence.counts(job, snapshot.licence) and not own
        else:
            draft.waiting[job.uid] = fact.why
    return used_slots


def _preempt(draft: _Draft, capacity: Capacity, preemptor: Preemptor) -> None:
    waiting = [draft.snapshot.jobs[uid] for uid, why in draft.waiting.items() if why.reason in _OTHERS_MAY_YIELD]
    leaving = {uid for uid in draft.records if draft.moved(draft.snapshot.jobs[uid])}
    for job, victims in preemptor.run((_bid(draft, job, capacity) for job in waiting), leaving):
        for victim in victims:
            # Who reads of it may not know of the other's namespace.
            name = f" ({job.name})" if job.namespace == victim.namespace else ""
            message = f"gave its place to a job of priority {job.spec.priority}{name}"
            draft.apply(victim, facts.Evicted(Why(Reason.PREEMPTED, message)))


def _bid(draft: _Draft, job: Job, capacity: Capacity) -> Bid:
    terms = _terms(draft, job)
    unlicensed = draft.waiting[job.uid].reason is Reason.LICENCE_EXHAUSTED
    has_room = unlicensed and capacity.can_add(job, terms).answer is Answer.FITS
    return Bid(job, terms, has_room, licence.holds_slot(job, job.record, draft.snapshot.licence))


def _placement(
    draft: _Draft, job: Job, capacity: Capacity, others: int
) -> facts.Placed | facts.NoPlace | facts.NoLicence | facts.Throttled:
    if job.problem is not None or job.digest is None:
        return facts.NoPlace(job.problem or _UNKNOWN_PAYLOAD)
    verdict, excluded = _verdict(draft, job, capacity)
    refused = licence.refusal(draft.snapshot.licence, job, others)
    if refused is not None and (verdict.answer is Answer.FITS or draft.record(job).phase is Phase.TOO_MANY_CAMERAS):
        return facts.NoLicence(refused)
    if verdict.why is not None:
        return facts.NoPlace(verdict.why)
    throttled = draft.hosts.refusal(job, draft.record(job))
    if throttled is not None:
        return facts.Throttled(throttled)
    draft.hosts.take(job)
    capacity.add(verdict, job.spec.slots, alone=suspicion.alone(job.record))
    draft.apply(job, facts.Readmitted(excluded))
    return facts.Placed(_assigned(verdict), job.digest)


def _verdict(draft: _Draft, job: Job, capacity: Capacity) -> tuple[Verdict, tuple[Excluded, ...]]:
    """Where the job would go, and who is passed over for it: nobody any more once there is no other to try."""
    record, snapshot = draft.record(job), draft.snapshot
    excluded = exclusion.in_force(record.excluded, snapshot.workers)
    terms = _terms(draft, job)
    verdict = capacity.can_add(job, terms)
    if verdict.answer is Answer.ALL_TRIED or (
        verdict.answer is Answer.EXCLUDED and exclusion.over(record, snapshot.now)
    ):
        return capacity.can_add(job, terms._replace(avoid=frozenset())), ()
    return verdict, excluded


def _terms(draft: _Draft, job: Job) -> Terms:
    record = draft.record(job)
    excluded = exclusion.in_force(record.excluded, draft.snapshot.workers)
    return Terms(frozenset(each.id for each in excluded), suspicion.alone(record))


def _undecided(job: Job) -> bool:
    """Whether it is not known yet if something that the job needs is missing."""
    return job.digest is None and (job.problem is None or job.problem.reason is Reason.PENDING)


def _overdue(job: Job, now: Seconds) -> bool:
    """Whether even that is worth telling: the job is still without a status."""
    return not job.record.observed_generation and now >= job.created + _PATIENCE


def _assigned(verdict: Verdict) -> Assigned:
    worker = verdict.worker
    if worker is None or worker.instance is None:
        raise ValueError(f"a job fits, but on no worker that was ever reached: {verdict}")
    return Assigned(worker.name, worker.pool, worker.id, worker.instance, worker.node)


def used_capacity(snapshot: Snapshot) -> Counter[str]:
    """Slots by worker id. What an earlier process of the same pod held is free: nothing of it runs any more."""
    used: Counter[str] = Counter()
    for job in snapshot.jobs.values():
        held = job.record.worker
        if held is None or job.record.phase not in ASSIGNED:
            continue
        worker = snapshot.workers.get(held.id)
        if worker is not None and worker.instance in (None, held.instance):
            used[held.id] += suspicion.held_slots(job, snapshot.pools.get(held.pool))
    return used


def _with_placed(draft: _Draft, used: Counter[str]) -> Counter[str]:
    """With the slots that this plan gives away; those that it frees count until they are."""
    total = used.copy()
    for uid, record in draft.records.items():
        job = draft.snapshot.jobs[uid]
        if record.worker is not None and record.worker != job.record.worker:
            total[record.worker.id] += suspicion.held_slots(job, draft.snapshot.pools.get(record.worker.pool))
    return total


def _visited(job: Job, draft: _Draft, now: Seconds) -> Record:
    """The job's record with the marks of a visit."""
    record = draft.record(job)
    if record is job.record and not record.observed_generation and job.uid in draft.waiting:
        return record
    if record.observed_generation < job.generation or not record.since:
        generation = max(record.observed_generation, job.generation)
        return changed(record, observed_generation=generation, since=record.since or now)
    return record


def _expired(snapshot: Snapshot, records: dict[str, Record]) -> tuple[str, ...]:
    """Jobs whose time after their end is over, and that this plan leaves alone."""
    times = {uid: expires_at(job, job.record) for uid, job in snapshot.jobs.items() if uid not in records}
    return tuple(uid for uid, time in times.items() if time is not None and time <= snapshot.now)


def _wake(draft: _Draft, jobs: Iterable[Job], records: dict[str, Record]) -> Seconds | None:
    snapshot, now = draft.snapshot, draft.snapshot.now
    times: list[Seconds] = [] if draft.hosts.wake is None else [draft.hosts.wake]
    watched: set[str] = set()
    for job in jobs:
        record = records.get(job.uid, job.record)
        worker = None if record.worker is None else snapshot.workers.get(record.worker.id)
        if worker is not None:
            watched.add(worker.id)
        dues = (
            observation.next_time(job, record, worker, now),
            observation.schedule_time(job, record),
            expires_at(job, record),
        )
        for due in dues:
            if due is not None and due > now:
                times.append(due)
        if not record.observed_generation:
            times.append(job.created + _PATIENCE)
    silences = (snapshot.workers[each].silent_for for each in watched)
    times += [now + SILENT_AFTER - silent for silent in silences if silent < SILENT_AFTER]
    if licence.to_shed(snapshot, None) is not None:
        times.append(now + licence.SHED_INTERVAL)
    return min(times, default=None)
