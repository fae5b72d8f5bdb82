"""Which running jobs give their place to one of higher priority that finds none.

Only jobs of strictly lower priority give way, so what was preempted can never preempt back, and each preemption puts
more slots to the use of a higher priority: there is an end to it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from videofleet_api.phases import RUNNING
from videofleet_api.workerpool import Preemption
from videofleet_operator.domain import licence
from videofleet_operator.domain.isolation import isolated
from videofleet_operator.domain.licence import giving_way
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Job, Pool, Snapshot
from videofleet_operator.domain.placement import Answer, Capacity, needed_steps, selector_key
from videofleet_operator.domain.shares import Shares
from videofleet_operator.domain.shelf import Terms
from videofleet_operator.domain.suspicion import held_slots

Enough = Callable[[Sequence[Job]], bool]
"""Whether the job that waits could start were these jobs gone. What is enough stays enough with more of them gone."""
_Cost = tuple[int, int, tuple[float, str]]
"""Priority of the most important victim, number of victims, and how long that one has run already."""


class Group(NamedTuple):
    """Running jobs out of which some may give way together, for example all that are on one worker."""

    name: str
    jobs: Sequence[Job]
    enough: Enough


def choose(priority: int, groups: Iterable[Group]) -> tuple[Job, ...]:
    """The jobs that give way to one of this priority: of one group, and no more of them than needed; empty: none.

    Of several groups the one is taken whose most important victim is least important, then the one with the fewest
    victims, then the one whose victims started last.
    """
    candidates = []
    for group in groups:
        lower = sorted((job for job in group.jobs if job.spec.priority < priority), key=giving_way, reverse=True)
        if lower:
            candidates.append((giving_way(lower[0]), group, lower))
    # Those with the least important jobs first: as soon as one cannot be better than the best so far, none can.
    candidates.sort(key=lambda each: (each[0], each[1].name), reverse=True)
    best: tuple[_Cost, tuple[Job, ...]] | None = None
    for _, group, lower in candidates:
        cheapest = (lower[0].spec.priority, 1)
        if best is not None and best[0][:2] <= cheapest:
            break
        victims = fewest(lower, group.enough)
        if victims and (best is None or _cost(victims) < best[0]):
            best = _cost(victims), victims
    return () if best is None else best[1]


def fewest(lower: Sequence[Job], enough: Enough) -> tuple[Job, ...]:
    """Of jobs in the order of giving way as many as are enough, without those that are not needed; empty: none is."""
    victims: list[Job] = []
    for job in lower:
        victims.append(job)
        if enough(victims):
            break
    else:
        return ()
    for job in reversed(victims):
        others = [each for each in victims if each is not job]
        if others and enough(others):
            victims = others
    return tuple(victims)


def _cost(victims: Sequence[Job]) -> _Cost:
    priority, started, uid = min(giving_way(job) for job in victims)
    return -priority, len(victims), (-started, uid)


class Bid(NamedTuple):
    """A job that waits, and what it waits for."""

    job: Job
    terms: Terms
    has_room: bool
    """A worker has room for it; only the licence has none."""
    holds_licence: bool = False
    """It is lost, and its slot of the licence is still its own."""


class Displacement(NamedTuple):
    """A job, and those that give way to it."""

    job: Job
    victims: tuple[Job, ...]


def preempting_pools(pools: Mapping[str, Pool]) -> dict[str, Pool]:
    """Those in which jobs of lower priority give way. A pod of one job is not used again: that would free nothing."""
    lower = {key: pool for key, pool in pools.items() if pool.spec.preemption is Preemption.LOWER}
    return {key: pool for key, pool in lower.items() if not isolated(pool)}


@dataclass(slots=True)
class Preemptor:
    """Finds who gives way to whom in one plan: at most one job in each pool gets the place of others."""

    snapshot: Snapshot
    used: Mapping[str, int]
    """Slots that are taken, by worker id, with what the plan has given away already."""
    licensed: int
    """Slots of the licence that are in use, counted likewise."""
    shares: Shares
    _pools: dict[str, Pool] = field(init=False)
    _running: dict[str, dict[str, list[Job]]] = field(init=False, default_factory=dict)
    """Jobs that may give way, by pool and worker id."""
    _hopeless: set[object] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._pools = preempting_pools(self.snapshot.pools)

    def run(self, bids: Iterable[Bid], staying: Collection[str]) -> Iterator[Displacement]:
        """Displacements for bids in the order of starting. `staying`: uids of jobs that cannot give way now."""
        limit = self.snapshot.licence.limit
        if self.snapshot.licence.problem is not None or (limit is not None and self.licensed > limit):
            return
        self._find_running(staying)
        lowest = self._lowest()
        for bid in bids:
            if lowest is None:
                return
            if bid.job.spec.priority <= lowest or _likeness(bid) in self._hopeless:
                continue
            # What the licence would not let start even on an empty cluster takes nobody's place.
            if licence.refusal(self.snapshot.licence, bid.job, 0) is not None:
                continue
            victims = choose(bid.job.spec.priority, self._groups(bid))
            if not victims:
                self._hopeless.add(_likeness(bid))
                continue
            self._displace(bid, victims)
            lowest = self._lowest()
            yield Displacement(bid.job, victims)

    def _find_running(self, staying: Collection[str]) -> None:
        for job in self.snapshot.jobs.values():
            worker = job.record.worker
            if worker is None or worker.pool not in self._pools or job.uid in staying:
                continue
            if job.record.phase in RUNNING:
                self._running.setdefault(worker.pool, {}).setdefault(worker.id, []).append(job)

    def _lowest(self) -> int | None:
        """The lowest priority that may give way; None: nothing may."""
        running = (job for workers in self._running.values() for jobs in workers.values() for job in jobs)
        return min((job.spec.priority for job in running), default=None)

    def _groups(self, bid: Bid) -> Iterator[Group]:
        for key in sorted(self._running):
            if refusal(self._pools[key], bid.job) is not None:
                continue
            workers = self._running[key]
            if bid.has_room:
                everything = [job for jobs in workers.values() for job in jobs]
                yield Group(key, everything, lambda victims: self._licence_has_room(bid, victims))
                continue
            for worker_id, jobs in workers.items():
                yield Group(worker_id, jobs, self._would_do(bid, key, worker_id))

    def _would_do(self, bid: Bid, pool: str, worker_id: str) -> Enough:
        def enough(victims: Sequence[Job]) -> bool:
            return self._licence_has_room(bid, victims) and self._has_room(bid, pool, worker_id, victims)

        return enough

    def _licence_has_room(self, bid: Bid, victims: Sequence[Job]) -> bool:
        allowed = self.snapshot.licence
        if allowed.limit is None or bid.holds_licence or not licence.counts(bid.job, allowed):
            return True
        return self.licensed - sum(licence.counts(job, allowed) for job in victims) < allowed.limit

    def _has_room(self, bid: Bid, pool: str, worker_id: str, victims: Sequence[Job]) -> bool:
        """Asked of the rules that place jobs: no other knows all that a job demands of a worker."""
        worker = self.snapshot.workers.get(worker_id)
        if worker is None:
            return False
        freed = sum(held_slots(job, self._pools[pool]) for job in victims)
        used = {worker_id: self.used.get(worker_id, 0) - freed}
        capacity = Capacity({pool: self._pools[pool]}, {worker_id: worker}, used, self.shares.without(victims))
        return capacity.can_add(bid.job, bid.terms).answer is Answer.FITS

    def _displace(self, bid: Bid, victims: Sequence[Job]) -> None:
        allowed = self.snapshot.licence
        self.licensed -= sum(licence.counts(job, allowed) for job in victims)
        self.licensed += licence.counts(bid.job, allowed) and not bid.holds_licence
        pool = victims[0].record.worker.pool if victims[0].record.worker else ""
        self._running.pop(pool, None)


def _likeness(bid: Bid) -> object:
    """Equal for bids of which none succeeds where one did not."""
    spec = bid.job.spec
    labels = frozenset(spec.labels.items())
    demands = bid.job.namespace, spec.slots, needed_steps(bid.job), labels, selector_key(spec.worker_selector)
    return spec.priority, bid.terms, bid.has_room, bid.holds_licence, demands
