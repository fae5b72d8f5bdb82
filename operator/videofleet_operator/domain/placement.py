"""Which worker a job goes to, and why it goes nowhere."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from videofleet_api.codes import Reason
from videofleet_api.videojob import LabelSelector, VideoJobSpec
from videofleet_operator.domain.front import Front
from videofleet_operator.domain.hints import limited_told
from videofleet_operator.domain.isolation import fits, isolated, slots_per_worker
from videofleet_operator.domain.matching import refusal, visible
from videofleet_operator.domain.model import Job, Pool, Seconds, Why, Worker
from videofleet_operator.domain.shares import Shares
from videofleet_operator.domain.shelf import ANY_WORKER, Offer, Shelf, Terms

SILENT_AFTER: Final[Seconds] = 10.0
"""Five heartbeats: after this a worker counts as lost."""
_POOLS_TOLD: Final = 3
_STEPS_TOLD: Final = 20


class Answer(StrEnum):
    """Whether a job can go somewhere. All but FITS and NEVER may change without anyone editing the job."""

    FITS = "fits"
    FULL = "full"
    SHARE_USED = "share used"
    NOT_EMPTY = "not empty"
    EXCLUDED = "excluded"
    ALL_TRIED = "all tried"
    NO_WORKER = "no worker"
    NO_MODEL = "no model"
    NO_POOL = "no pool"
    NEVER = "never"


_FITS: Final = Answer.FITS


class Verdict(NamedTuple):
    """An answer, with the worker or with why there is none."""

    answer: Answer
    worker: Worker | None = None
    why: Why | None = None
    offer: Offer | None = None
    job: Job | None = None
    """The one that fits."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all jobs with the same demands have in common; found once for each."""

    shelves: tuple[Shelf, ...] = ()
    pools: int = 0
    front: Front | None = None
    refused: Verdict | None = None


def answers(worker: Worker) -> bool:
    """Whether a worker is there and can be told what to do."""
    return worker.connected and not worker.leaving and worker.instance is not None and worker.silent_for < SILENT_AFTER


def ready(worker: Worker) -> bool:
    """Whether a worker takes new jobs."""
    return answers(worker) and not worker.cordoned and not worker.drain


def room(worker: Worker, pool: Pool) -> int:
    """Slots that jobs may take on a worker. A lowered capacity of the pool holds before its workers are replaced."""
    return min(worker.capacity, slots_per_worker(pool))


class Capacity:
    """A ledger of the slots of all workers. `can_add` changes nothing, `add` does."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        workers: Mapping[str, Worker],
        used: Mapping[str, int],
        shares: Shares | None = None,
    ) -> None:
        """`used`: slots that are taken, by worker id. `shares`: None, no namespace holds anything yet."""
        self._shares = shares or Shares(pools, ())
        self._pools = [pools[key] for key in sorted(pools)]
        self._workers = workers
        self._label_keys = sorted({key for pool in self._pools for key in pool.spec.job_labels})
        self._existing = Counter([worker.pool for worker in workers.values()])
        self._rooms = {key: slots_per_worker(pool) for key, pool in pools.items()}
        self._shelves: list[Shelf] = []
        self._pool_of: list[str] = []
        self._taken: list[int] = []
        """Indexes of shelves, as something is taken from them."""
        self._narrowed: dict[tuple[int, frozenset[str]], _Kind] = {}
        self._by_pool: dict[str, dict[tuple[frozenset[str], bool], Shelf]] = {}
        self._kinds: dict[object, _Kind] = {}
        self._of_spec: dict[tuple[str, int], tuple[VideoJobSpec, _Kind]] = {}
        """By namespace and identity of the spec, which many jobs share; kept, so that no other gets its id."""
        self._refusals: dict[int, Verdict] = {}
        for worker in workers.values():
            if worker.pool in pools and ready(worker):
                self._place_worker(worker, pools[worker.pool], used.get(worker.id, 0))

    def can_add(self, job: Job, terms: Terms = ANY_WORKER) -> Verdict:
        """Where the job would go, or why nowhere."""
        kind = self._kind(job)
        if kind.refused is not None:
            return kind.refused
        used_up = self._used_up(kind, job) if self._shares.capped else None
        if used_up:
            kind = self._without(kind, frozenset(used_up), job.spec.slots)
            if not kind.shelves:
                return Verdict(Answer.SHARE_USED, why=used_up[min(used_up)])
        slots = job.spec.slots
        best = _best(kind, slots, terms)
        if best is not None:
            return Verdict(_FITS, self._workers[best.id], None, best, job)
        if terms.avoid and (passed := _best(kind, slots, terms._replace(avoid=frozenset()))) is not None:
            return _excluded(kind, passed, terms.avoid)
        if terms.alone:
            return Verdict(Answer.NOT_EMPTY, why=_not_empty(kind))
        return self._full(kind, slots)

    def add(self, verdict: Verdict, slots: int, *, alone: bool = False) -> None:
        """Take the slots of the worker that `can_add` just found; all of them for a job that goes alone."""
        offer = verdict.offer
        if offer is None or verdict.job is None:
            raise ValueError(f"nothing to take: the answer was {verdict.answer}")
        self._shelves[offer.shelf].take(offer, offer.free if alone else slots)
        self._taken.append(offer.shelf)
        self._shares.take(self._pool_of[offer.shelf], verdict.job)
        self._refusals.clear()

    def _used_up(self, kind: _Kind, job: Job) -> dict[str, Why]:
        """Pools of which the job's namespace may not have more, with why."""
        pools = {self._pool_of[shelf.index] for shelf in kind.shelves}
        return {pool: why for pool in pools if (why := self._shares.refusal(pool, job)) is not None}

    def _without(self, kind: _Kind, pools: frozenset[str], slots: int) -> _Kind:
        """The kind where workers of these pools are no choice."""
        key = id(kind), pools
        if key not in self._narrowed:
            left = tuple(shelf for shelf in kind.shelves if self._pool_of[shelf.index] not in pools)
            front = Front(left, slots, self._taken)
            self._narrowed[key] = _Kind(left, len({self._pool_of[shelf.index] for shelf in left}), front)
        return self._narrowed[key]

    def _full(self, kind: _Kind, slots: int) -> Verdict:
        """The same words for all that wait for the same, until something is taken."""
        verdict = self._refusals.get(id(kind))
        if verdict is None:
            verdict = self._refusals[id(kind)] = Verdict(Answer.FULL, why=_full(kind, slots))
        return verdict

    def _place_worker(self, worker: Worker, pool: Pool, used: int) -> None:
        shelves = self._by_pool.setdefault(worker.pool, {})
        kind = (worker.steps, worker.outdated)
        shelf = shelves.get(kind)
        if shelf is None:
            shelf = shelves[kind] = Shelf(
                len(self._shelves), pool.spec.packing, isolated=isolated(pool), last=worker.outdated
            )
            self._shelves.append(shelf)
            self._pool_of.append(worker.pool)
        capacity = min(worker.capacity, self._rooms[worker.pool])
        shelf.put(worker.name, worker.id, capacity, capacity if worker.spent else used)
        if worker.limited:
            shelf.limited.append(worker)

    def _kind(self, job: Job) -> _Kind:
        key = (job.namespace, id(job.spec))
        known = self._of_spec.get(key)
        if known is None:
            known = self._of_spec[key] = (job.spec, self._kind_like(job))
        return known[1]

    def _kind_like(self, job: Job) -> _Kind:
        """That of all jobs with equal demands."""
        spec = job.spec
        steps = needed_steps(job)
        labels = tuple([spec.labels.get(key) for key in self._label_keys]) if self._label_keys else ()
        key = (job.namespace, labels, selector_key(spec.worker_selector), steps, spec.slots)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._find_kind(job, steps)
        return kind

    def _find_kind(self, job: Job, steps: frozenset[str]) -> _Kind:
        matching = [pool for pool in self._pools if refusal(pool, job) is None]
        if not matching:
            return _refused(Answer.NO_POOL, Reason.NO_MATCHING_POOL, _no_pool(self._pools, job))
        fitting = [pool for pool in matching if fits(job, pool)]
        if not fitting:
            return _refused(Answer.NEVER, Reason.NEVER_FITS, _never(matching, job.spec.slots))
        by_kind = [item for pool in fitting for item in self._by_pool.get(pool.key, {}).items()]
        by_steps = [(offered, shelf) for (offered, _), shelf in by_kind]
        if not by_steps:
            existing = sum(self._existing[pool.key] for pool in fitting)
            return _refused(Answer.NO_WORKER, Reason.NO_READY_WORKER, _no_worker(fitting, existing))
        able = tuple(shelf for offered, shelf in by_steps if steps <= offered)
        if not able:
            return _refused(Answer.NO_MODEL, Reason.MODEL_MISSING, _no_model(steps, [each for each, _ in by_steps]))
        return _Kind(able, len(fitting), Front(able, job.spec.slots, self._taken))


def needed_steps(job: Job) -> frozenset[str]:
    """Names of all steps that a worker must be able to run for the job."""
    return frozenset([step.model for analytics in job.spec.analytics for step in analytics.steps])


def selector_key(selector: LabelSelector | None) -> object:
    """Equal only for selectors that select the same."""
    if selector is None:
        return None
    return selector.model_dump_json() if selector.match_expressions else frozenset(selector.match_labels.items())


def _refused(answer: Answer, reason: Reason, message: str) -> _Kind:
    return _Kind(refused=Verdict(answer, why=Why(reason, message)))


def _best(kind: _Kind, slots: int, terms: Terms) -> Offer | None:
    if terms == ANY_WORKER and kind.front is not None:
        return kind.front.best()
    offers = (shelf.best_of(slots, terms) for shelf in kind.shelves)
    return min((offer for offer in offers if offer is not None), default=None)


def _excluded(kind: _Kind, passed: Offer, avoid: frozenset[str]) -> Verdict:
    """Only workers that failed the job have room. `passed`: the first of them."""
    others = sum(shelf.others(avoid) for shelf in kind.shelves)
    if not others:
        return Verdict(Answer.ALL_TRIED)
    message = (
        f"worker {passed.name} has room, but failed this job; "
        f"{_count(others, 'other worker')} of {_count(kind.pools, 'matching pool')} "
        f"{'has' if others == 1 else 'have'} none: it is tried there again if that lasts"
    )
    return Verdict(Answer.EXCLUDED, why=Why(Reason.WORKERS_EXCLUDED, message))


def _not_empty(kind: _Kind) -> Why:
    workers = sum(shelf.workers for shelf in kind.shelves)
    where = f"{_count(workers, 'worker')} of {_count(kind.pools, 'matching pool')}"
    message = f"workers crashed while they ran it, so it starts only alone on a worker, and none of {where} is empty"
    return Why(Reason.NO_EMPTY_WORKER, message)


def _full(kind: _Kind, slots: int) -> Why:
    workers, used, total = (
        sum(getattr(shelf, name) for shelf in kind.shelves) for name in ("workers", "used", "total")
    )
    where = f"{_count(workers, 'worker')} of {_count(kind.pools, 'matching pool')}"
    limited = limited_told(worker for shelf in kind.shelves for worker in shelf.limited)
    told = f"; {limited}" if limited else ""
    if used >= total:
        verb = "is" if workers == 1 else "are"
        return Why(Reason.WORKERS_FULL, f"all {where} {verb} full ({used} of {total} slots){told}")
    free = _count(slots, "free slot")
    return Why(Reason.WORKERS_FULL, f"none of {where} has {free} ({used} of {total} are used){told}")


def _no_pool(pools: Iterable[Pool], job: Job) -> str:
    told = sorted(f"pool {pool.key} {refusal(pool, job)}" for pool in pools if visible(pool, job.namespace))
    if not told:
        return (
            f"no pool takes this job: namespace {job.namespace} has no WorkerPool, "
            f"and none elsewhere names {job.namespace} in its allowedNamespaces"
        )
    more = len(told) - _POOLS_TOLD
    return f"no pool takes this job: {'; '.join(told[:_POOLS_TOLD])}" + (f"; and {more} more" if more > 0 else "")


def _never(pools: list[Pool], slots: int) -> str:
    largest = max(pools, key=lambda pool: pool.spec.capacity_per_worker)
    most = largest.spec.capacity_per_worker
    return (
        f"spec.slots is {slots}, but no worker of {_count(len(pools), 'matching pool')} has more than {most} "
        f"(pool {largest.key}): lower slots or raise the pool's capacityPerWorker"
    )


def _no_worker(pools: list[Pool], existing: int) -> str:
    where = _count(len(pools), "matching pool")
    if not existing:
        return f"{where} ({pools[0].key}{', …' if len(pools) > 1 else ''}) has no worker yet"
    return f"none of {_count(existing, 'worker')} of {where} is ready"


def _no_model(steps: frozenset[str], offered: list[frozenset[str]]) -> str:
    known = frozenset[str]().union(*offered)
    missing = sorted(steps - known)
    if not missing:
        return f"no worker has all of the steps {', '.join(sorted(steps))}"
    shown = ", ".join(sorted(known)[:_STEPS_TOLD]) or "none"
    return f"no ready worker of a matching pool has the step {', '.join(missing)}; there are: {shown}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
