"""Why a job waits, with the counts of this moment: from the snapshot and the plan that was made from it."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Final, NamedTuple

from videofleet_api.codes import Reason
from videofleet_api.explain import Cause, Explanation, LicenceOutlook, PoolOutlook, Queue, QueuedJob
from videofleet_operator.domain import exclusion, licence, suspicion
from videofleet_operator.domain.isolation import fits, slots_of, slots_per_worker
from videofleet_operator.domain.matching import refusal, visible
from videofleet_operator.domain.model import Job, Pool, Snapshot, Why, Worker
from videofleet_operator.domain.placement import answers, needed_steps, room
from videofleet_operator.domain.planner import used_capacity
from videofleet_operator.domain.shares import Shares

_NOT_QUEUED: Final = frozenset(
    {
        Reason.PENDING,
        Reason.NO_MATCHING_POOL,
        Reason.NEVER_FITS,
        Reason.MODEL_MISSING,
        Reason.SECRET_MISSING,
        Reason.INVALID_SPEC,
        Reason.LICENCE_LACKS_FEATURE,
    }
)
"""More room would not start a job that waits for one of these: it has no place in the queue."""
_PLURAL: Final = {"lacks": "lack", "needs": "need", "takes": "take", "has": "have", "is": "are"}


class _Crew(NamedTuple):
    """The workers of a pool, as jobs of one kind see them."""

    workers: int
    held_back: Mapping[Why, int]
    """Workers that cannot take the job now; the message is what they are, in a few words."""
    slots_used: int
    slots_total: int


class _Demand(NamedTuple):
    """What a job asks of a worker."""

    steps: frozenset[str]
    slots: int
    avoid: frozenset[str]
    """Ids of workers that failed it."""
    alone: bool
    """It takes an empty worker only."""


class Explainer:
    """Explains jobs of one snapshot. What many of them have in common is found once, and only when it is asked for."""

    def __init__(self, snapshot: Snapshot, waiting: Mapping[str, Why]) -> None:
        """`snapshot`: with what the plan gave away already taken; `waiting`: that of the plan."""
        self.snapshot = snapshot
        self.waiting = waiting
        self._crews: dict[tuple[str, _Demand], _Crew] = {}

    def explain(self, job: Job) -> Explanation:
        """All that is known of why the job does not run."""
        why = self.waiting.get(job.uid)
        causes = [] if why is None else self.causes(job)
        position = self.positions.get(job.uid)
        return Explanation(
            namespace=job.namespace,
            name=job.name,
            phase=job.record.phase,
            waiting=why is not None,
            causes=causes,
            pools=[self._outlook(pool, job) for pool in self._visible(job)],
            licence=self.licence,
            position=position,
            queue=len(self.positions),
            summary=self._summary(causes, position) if why is not None else _not_waiting(job),
        )

    def causes(self, job: Job) -> list[Cause]:
        """Everything that holds a waiting job back; what the plan names comes first."""
        found = [*_own_problem(job), *self._pool_causes(job), *self._licence_cause(job)]
        why = self.waiting.get(job.uid)
        if why is None:
            return found
        if all(each.reason != why.reason for each in found):
            found.append(Cause(reason=why.reason, count=1, message=why.message))
        return sorted(found, key=lambda each: each.reason != why.reason)

    def queue(self, namespaces: frozenset[str]) -> Queue:
        """Jobs of the namespaces that wait."""
        jobs = [
            QueuedJob(
                namespace=job.namespace,
                name=job.name,
                reason=why.reason,
                message=why.message,
                position=self.positions.get(uid),
                priority=job.spec.priority,
            )
            for uid, why in self.waiting.items()
            if (job := self.snapshot.jobs.get(uid)) is not None and job.namespace in namespaces
        ]
        return Queue(length=len(self.positions), jobs=jobs)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Place of each job in the queue, by uid."""
        queued = (uid for uid, why in self.waiting.items() if why.reason not in _NOT_QUEUED)
        return {uid: place for place, uid in enumerate(queued, start=1)}

    @cached_property
    def licence(self) -> LicenceOutlook:
        """How much of the licence is used."""
        given, used = self.snapshot.licence, licence.used(self.snapshot)
        return LicenceOutlook(used=used, limit=given.limit, problem=given.problem and given.problem.message)

    @cached_property
    def _used(self) -> Mapping[str, int]:
        return used_capacity(self.snapshot)

    @cached_property
    def _shares(self) -> Shares:
        return Shares(self.snapshot.pools, self.snapshot.jobs.values())

    @cached_property
    def _workers(self) -> Mapping[str, list[Worker]]:
        result: dict[str, list[Worker]] = {}
        for worker in self.snapshot.workers.values():
            result.setdefault(worker.pool, []).append(worker)
        return result

    def _visible(self, job: Job) -> list[Pool]:
        pools = self.snapshot.pools
        return [pools[key] for key in sorted(pools) if visible(pools[key], job.namespace)]

    def _crew(self, pool: Pool, job: Job) -> _Crew:
        excluded = exclusion.in_force(job.record.excluded, self.snapshot.workers)
        avoid = frozenset(each.id for each in excluded)
        demand = _Demand(needed_steps(job), slots_of(job, pool), avoid, suspicion.alone(job.record))
        key = (pool.key, demand)
        crew = self._crews.get(key)
        if crew is None:
            crew = self._crews[key] = self._count(pool, demand)
        return crew

    def _count(self, pool: Pool, demand: _Demand) -> _Crew:
        workers = self._workers.get(pool.key, [])
        refusals = (_worker_refusal(each, demand, room(each, pool), self._used.get(each.id, 0)) for each in workers)
        answering = [worker for worker in workers if answers(worker)]
        return _Crew(
            workers=len(workers),
            held_back=Counter(why for why in refusals if why is not None),
            slots_used=sum(self._used.get(worker.id, 0) for worker in answering),
            slots_total=sum(room(worker, pool) for worker in answering),
        )

    def _outlook(self, pool: Pool, job: Job) -> PoolOutlook:
        refused = self._pool_refusal(pool, job)
        crew = self._crew(pool, job)
        return PoolOutlook(
            pool=pool.key,
            refusal=None if refused is None else refused.message,
            workers=crew.workers,
            held_back={} if refused is not None else {why.message: count for why, count in crew.held_back.items()},
            slots_used=crew.slots_used,
            slots_total=crew.slots_total,
        )

    def _pool_causes(self, job: Job) -> list[Cause]:
        pools = self._visible(job)
        if not pools:
            message = f"no pool for namespace {job.namespace}"
            return [Cause(reason=Reason.NO_MATCHING_POOL, count=1, message=message)]
        refused: Counter[Why] = Counter()
        workers: Counter[Why] = Counter()
        empty = 0
        for pool in pools:
            if (why := self._pool_refusal(pool, job)) is not None:
                refused[why] += 1
                continue
            crew = self._crew(pool, job)
            workers.update(crew.held_back)
            empty += crew.workers == 0
        found = [_worker_cause(why, count) for why, count in sorted(workers.items(), key=_words)]
        if empty:
            message = f"{_counted(empty, 'pool')} without workers"
            found.append(Cause(reason=Reason.NO_READY_WORKER, count=empty, message=message))
        return found + [_pool_cause(why, count) for why, count in sorted(refused.items(), key=_words)]

    def _pool_refusal(self, pool: Pool, job: Job) -> Why | None:
        refused = refusal(pool, job)
        if refused is not None:
            return Why(Reason.NO_MATCHING_POOL, refused)
        if not fits(job, pool):
            return Why(Reason.NEVER_FITS, f"has no worker with more than {_counted(slots_per_worker(pool), 'slot')}")
        return self._shares.refusal(pool.key, job)

    def _licence_cause(self, job: Job) -> list[Cause]:
        given = self.snapshot.licence
        own = licence.holds_slot(job, job.record, given)
        refused = licence.refusal(given, job, self.licence.used - own)
        if refused is None:
            return []
        exhausted = refused.reason is Reason.LICENCE_EXHAUSTED
        message = f"licence {self.licence.used} of {self.licence.limit} used" if exhausted else refused.message
        return [Cause(reason=refused.reason, count=1, message=message)]

    def _summary(self, causes: list[Cause], position: int | None) -> str:
        told = ", ".join(each.message for each in causes)
        return told if position is None else f"{told}; position {position} of {len(self.positions)}"


def _worker_refusal(worker: Worker, demand: _Demand, slots: int, used: int) -> Why | None:
    """Why a worker does not take the job now, in words that follow a number of workers."""
    if not answers(worker):
        return Why(Reason.NO_READY_WORKER, "not ready")
    if worker.drain:
        return Why(Reason.NO_READY_WORKER, "draining")
    if worker.cordoned:
        return Why(Reason.NO_READY_WORKER, "cordoned")
    if not demand.steps <= worker.steps:
        return Why(Reason.MODEL_MISSING, f"without {', '.join(sorted(demand.steps - worker.steps))}")
    if worker.spent or slots - used < demand.slots:
        return Why(Reason.WORKERS_FULL, f"full ({worker.limited})" if worker.limited else "full")
    if demand.alone and used:
        return Why(Reason.NO_EMPTY_WORKER, "not empty, as it must be for one that crashed workers")
    return Why(Reason.WORKERS_EXCLUDED, "passed over after a failure there") if worker.id in demand.avoid else None


def _own_problem(job: Job) -> list[Cause]:
    problem = job.problem
    return [] if problem is None else [Cause(reason=problem.reason, count=1, message=problem.message)]


def _worker_cause(why: Why, count: int) -> Cause:
    return Cause(reason=why.reason, count=count, message=f"{_counted(count, 'worker')} {why.message}")


def _words(refused: tuple[Why, int]) -> str:
    return refused[0].message


def _pool_cause(why: Why, count: int) -> Cause:
    if why.reason is Reason.NAMESPACE_SHARE_USED:
        return Cause(reason=why.reason, count=count, message=why.message)
    verb, _, rest = why.message.partition(" ")
    told = why.message if count == 1 else f"{_PLURAL.get(verb, verb)} {rest}"
    return Cause(reason=why.reason, count=count, message=f"{_counted(count, 'pool')} {told}")


def _not_waiting(job: Job) -> str:
    told = f"{job.record.phase}, {job.record.reason}" if job.record.reason else str(job.record.phase)
    return f"does not wait for room: {told}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
