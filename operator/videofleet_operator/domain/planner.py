"""One plan: from everything that is known now to the records that should be written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_operator.domain import facts, licence, observation, suspicion
from videofleet_operator.domain.draft import Draft, assigned, terms_of, verdict_of
from videofleet_operator.domain.draining import to_relieve
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.leaving import empty_workers, relieve
from videofleet_operator.domain.lifecycle import waits
from videofleet_operator.domain.model import Job, Move, Plan, Record, Seconds, Snapshot, Why, Worker
from videofleet_operator.domain.placement import Answer, Capacity
from videofleet_operator.domain.preemption import Bid, Preemptor, preempting_pools
from videofleet_operator.domain.records import changed
from videofleet_operator.domain.resting import SCRATCH, Resting, split
from videofleet_operator.domain.shares import Shares, in_turn
from videofleet_operator.domain.waking import PATIENCE, wake_time

_UNKNOWN_PAYLOAD: Final = Why(Reason.PENDING, "what the worker will be given is not known yet")
_OTHERS_FIRST: Final = Why(Reason.PENDING, "others are being started, this one is next")
_OTHERS_MAY_YIELD: Final = frozenset(
    {Reason.WORKERS_FULL, Reason.NO_EMPTY_WORKER, Reason.NAMESPACE_SHARE_USED, Reason.LICENCE_EXHAUSTED}
)
"""What a job may wait for that less important ones have."""
_NOT_PLACED: Final = RUNNING | {Phase.DISABLED}


def plan(snapshot: Snapshot) -> Plan:
    """What should be written now, and when to look again.

    Slots and capacity that this plan frees are not given away in it: the writes that free them may still fail.
    """
    return plan_after(snapshot, SCRATCH)[0]


def plan_after(snapshot: Snapshot, before: Resting) -> tuple[Plan, Resting]:
    """The same plan, and what it leaves to the next one: that spares a look at jobs that rest, and changes nothing."""
    draft = Draft(snapshot)
    parts = split(snapshot, before)
    jobs = parts.awake.values()
    # 1. to 3. What workers, specs and the clock say of each job
    for job in jobs:
        _observe(draft, job)
    # 4. One stream gives way if the licence allows fewer than run
    _shed(draft)
    used = _used_by(jobs, snapshot, parts.used)
    shares = Shares(snapshot.pools, snapshot.jobs.values())
    capacity = Capacity(snapshot.pools, snapshot.workers, used, shares)
    # 5. What runs and has to leave its worker comes before what does not run yet
    empty_workers(draft, capacity)
    relieving = to_relieve(snapshot, used)
    if relieving is not None:
        relieve(draft, capacity, relieving)
    # 6. Those that wait go where there is room, in their order
    licensed = _place(draft, capacity, in_turn(_queue(draft, jobs), shares))
    # 7. For what found no place, less important jobs may have to give way
    if preempting_pools(snapshot.pools):
        _preempt(draft, capacity, Preemptor(snapshot, _with_placed(draft, used), licensed, shares))
    # 8. When to look again, also at those that rested until they had to give way
    parts.wake(snapshot.jobs[uid] for uid in draft.records)
    records = _new_records(draft, jobs)
    waking = wake_time(draft, parts, records, relieves=relieving is not None)
    expired = _expired(jobs, records, snapshot.now)
    left = parts.leave(snapshot, draft.records | records)
    return Plan(records, waking, draft.waiting, expired, draft.hosts.buckets()), left


def starting_order(job: Job, record: Record) -> tuple[int, Seconds, str]:
    """The one order in which jobs start: priority, waiting time, uid. What never ran waits since it was created."""
    return -job.spec.priority, job.created if record.epoch == 0 else record.since, job.uid


def _observe(draft: Draft, job: Job) -> None:
    """Facts of one job, until one of them takes it along an edge."""
    run = observation.run_fact(job, job.record)
    if run is not None:
        draft.apply(job, run)
    if job.record.move is not None and _observe_move(draft, job, job.record.move):
        return
    worker = None
    if job.record.worker is not None:
        worker = draft.worker(job.record)
        _observe_worker(draft, job, worker)
        if draft.moved(job):
            return
    record = draft.record(job)
    pool = None if worker is None else draft.snapshot.pools.get(worker.pool)
    fact = observation.spec_fact(job, record, pool)
    if fact is not None:
        draft.apply(job, fact)
        if draft.moved(job):
            return
    fact = observation.time_fact(job, record, worker, draft.snapshot.now, draft.snapshot.led_since)
    if fact is not None:
        draft.apply(job, fact)


def _observe_worker(draft: Draft, job: Job, worker: Worker | None) -> None:
    """What the job's worker says, and then what it has applied of an edit."""
    fact = observation.worker_fact(job, job.record, worker, draft.snapshot.now)
    if fact is not None:
        draft.apply(job, fact)
        if draft.moved(job):
            return
    record = draft.record(job)
    applied = observation.settings_fact(record, observation.current_report(job, record, worker))
    if applied is not None:
        draft.apply(job, applied)


def _observe_move(draft: Draft, job: Job, move: Move) -> bool:
    """Whether the job is the other worker's now: then its own has nothing more to say of it."""
    target = draft.snapshot.workers.get(move.worker.id)
    fact = observation.move_fact(job, job.record, target, draft.snapshot.now, draft.snapshot.led_since)
    if fact is not None:
        draft.apply(job, fact)
    return draft.record(job).epoch == move.epoch


def _shed(draft: Draft) -> None:
    if draft.snapshot.licence.limit is None:
        return
    job = licence.to_shed(draft.snapshot, licence.last_shed(draft.snapshot))
    if job is None or draft.moved(job):
        return
    limit = draft.snapshot.licence.limit
    draft.apply(job, facts.Shed(Why(Reason.SHED, f"the licence now allows {limit} streams, and this one gave way")))


def _queue(draft: Draft, jobs: Iterable[Job]) -> list[Job]:
    """Jobs that may be placed now, in the order of starting."""
    ready = [job for job in jobs if not draft.moved(job) and _may_be_placed(draft, job)]
    return sorted(ready, key=lambda job: starting_order(job, job.record))


def _may_be_placed(draft: Draft, job: Job) -> bool:
    record, now = draft.record(job), draft.snapshot.now
    if record.phase in _NOT_PLACED:
        return False
    return waits(record, job.spec.restart, now) or observation.lost_for_good(record, draft.worker(record), now)


def _place(draft: Draft, capacity: Capacity, queue: Iterable[Job]) -> int:
    """Returns how many slots of the licence are in use then, with those that this plan gives."""
    snapshot = draft.snapshot
    # Without a limit nobody asks how many there are.
    limited = snapshot.licence.limit is not None
    used_slots = licence.used(snapshot) if limited else 0
    left = len(snapshot.jobs) if snapshot.starts is None else snapshot.starts
    for job in queue:
        if left <= 0:
            draft.waiting[job.uid] = _OTHERS_FIRST
            continue
        if _undecided(job) and not _overdue(job, snapshot.now):
            draft.waiting[job.uid] = job.problem or _UNKNOWN_PAYLOAD
            continue
        # A lost job still holds its own slot; it is the others that must leave room for it.
        own = limited and licence.holds_slot(job, draft.record(job), snapshot.licence)
        fact = _placement(draft, job, capacity, used_slots - own)
        if not isinstance(fact, facts.Throttled) or job.record.observed_generation or _overdue(job, snapshot.now):
            draft.apply(job, fact)
        if isinstance(fact, facts.Placed):
            left -= 1
            used_slots += limited and not own and licence.counts(job, snapshot.licence)
        else:
            draft.waiting[job.uid] = fact.why
    return used_slots


def _preempt(draft: Draft, capacity: Capacity, preemptor: Preemptor) -> None:
    waiting = [draft.snapshot.jobs[uid] for uid, why in draft.waiting.items() if why.reason in _OTHERS_MAY_YIELD]
    leaving = {uid for uid in draft.records if draft.moved(draft.snapshot.jobs[uid])}
    for job, victims in preemptor.run((_bid(draft, job, capacity) for job in waiting), leaving):
        for victim in victims:
            # Who reads of it may not know of the other's namespace.
            name = f" ({job.name})" if job.namespace == victim.namespace else ""
            message = f"gave its place to a job of priority {job.spec.priority}{name}"
            draft.apply(victim, facts.Evicted(Why(Reason.PREEMPTED, message)))


def _bid(draft: Draft, job: Job, capacity: Capacity) -> Bid:
    terms = terms_of(draft, job)
    unlicensed = draft.waiting[job.uid].reason is Reason.LICENCE_EXHAUSTED
    has_room = unlicensed and capacity.can_add(job, terms).answer is Answer.FITS
    return Bid(job, terms, has_room, licence.holds_slot(job, job.record, draft.snapshot.licence))


def _placement(
    draft: Draft, job: Job, capacity: Capacity, others: int
) -> facts.Placed | facts.NoPlace | facts.NoLicence | facts.Throttled:
    if job.problem is not None or job.digest is None:
        return facts.NoPlace(job.problem or _UNKNOWN_PAYLOAD)
    record = draft.record(job)
    verdict, excluded = verdict_of(draft, job, capacity)
    refused = licence.refusal(draft.snapshot.licence, job, others)
    if refused is not None and (verdict.worker is not None or record.phase is Phase.TOO_MANY_CAMERAS):
        return facts.NoLicence(refused)
    if verdict.why is not None:
        return facts.NoPlace(verdict.why)
    throttled = draft.hosts.refusal(job, record)
    if throttled is not None:
        return facts.Throttled(throttled)
    draft.hosts.take(job)
    capacity.add(verdict, job.spec.slots, alone=suspicion.alone(job.record))
    if excluded != record.excluded:
        draft.apply(job, facts.Readmitted(excluded))
    return facts.Placed(assigned(verdict), job.digest, job.run_digest, job.settings)


def _undecided(job: Job) -> bool:
    """Whether it is not known yet if something that the job needs is missing."""
    return job.digest is None and (job.problem is None or job.problem.reason is Reason.PENDING)


def _overdue(job: Job, now: Seconds) -> bool:
    """Whether even that is worth telling: the job is still without a status."""
    return not job.record.observed_generation and now >= job.created + PATIENCE


def used_capacity(snapshot: Snapshot) -> Counter[str]:
    """Slots by worker id. What an earlier process of the same pod held is free: nothing of it runs any more."""
    return _used_by(snapshot.jobs.values(), snapshot, {})


def _used_by(jobs: Iterable[Job], snapshot: Snapshot, others: Mapping[str, int]) -> Counter[str]:
    """Slots of these jobs and of the others, by worker id."""
    used = Counter(others)
    for job in jobs:
        for held in job.record.held if job.record.phase in ASSIGNED else ():
            worker = snapshot.workers.get(held.id)
            if worker is not None and worker.instance in (None, held.instance):
                used[held.id] += suspicion.held_slots(job, snapshot.pools.get(held.pool))
    return used


def _with_placed(draft: Draft, used: Counter[str]) -> Counter[str]:
    """With the slots that this plan gives away; those that it frees count until they are."""
    total = used.copy()
    for uid, record in draft.records.items():
        job = draft.snapshot.jobs[uid]
        for worker in set(record.held) - set(job.record.held):
            total[worker.id] += suspicion.held_slots(job, draft.snapshot.pools.get(worker.pool))
    return total


def _new_records(draft: Draft, jobs: Iterable[Job]) -> dict[str, Record]:
    """Those that differ, with the marks of a visit."""
    new = ((job, _visited(job, draft, draft.snapshot.now)) for job in jobs)
    # What took an edge is not compared field by field.
    return {job.uid: record for job, record in new if record is not job.record and _differ(record, job.record)}


def _differ(record: Record, other: Record) -> bool:
    return record.phase is not other.phase or record != other


def _visited(job: Job, draft: Draft, now: Seconds) -> Record:
    """The job's record with the marks of a visit."""
    record = draft.record(job)
    if record.since and record.observed_generation >= job.generation:
        return record
    if record is job.record and not record.observed_generation and job.uid in draft.waiting:
        return record
    seen = job.generation if not observation.being_applied(job, record) else 0
    if record.observed_generation < seen or not record.since:
        generation = max(record.observed_generation, seen)
        return changed(record, observed_generation=generation, since=record.since or now)
    return record


def _expired(jobs: Iterable[Job], records: dict[str, Record], now: Seconds) -> tuple[str, ...]:
    """Jobs whose time after their end is over, and that this plan leaves alone."""
    times = ((job.uid, expires_at(job, job.record)) for job in jobs if job.uid not in records)
    return tuple(sorted(uid for uid, time in times if time is not None and time <= now))
