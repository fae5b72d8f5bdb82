"""Fair shares of a pool between namespaces: whose turn it is, and who has had all that it may have.

Among jobs of equal priority that wait for a pool with `namespaceShares`, the namespace furthest below its share starts
next: the one with the fewest slots in use for its weight (weighted max-min fairness by progressive filling). A
namespace without an entry has the weight 1. Nothing that runs gives way for it, and no slot stays free for a namespace
that does not ask for it; only `max` keeps a namespace from taking what is free.
"""

import copy
import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED
from videofleet_api.workerpool import NamespaceShare
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Job, Pool, Why
from videofleet_operator.domain.suspicion import held_slots

_Line = dict[str, deque[tuple[int, Job]]]
"""Jobs that wait for one pool with one priority, with their places in the queue, by namespace."""


class Shares:
    """A ledger of the slots that namespaces hold in the pools that have shares."""

    def __init__(self, pools: Mapping[str, Pool], jobs: Iterable[Job]) -> None:
        self.pools = {key: pools[key] for key in sorted(pools) if pools[key].spec.namespace_shares}
        """Those that have shares."""
        self._entries = {
            (key, share.namespace): share for key, pool in self.pools.items() for share in pool.spec.namespace_shares
        }
        self.capped = any(share.max is not None for share in self._entries.values())
        """Whether there is any `max`."""
        self._used: Counter[tuple[str, str]] = Counter()
        for job in jobs if self.pools else ():
            for key in _pools_of(job):
                self.take(key, job)

    def take(self, pool: str, job: Job) -> None:
        """Count the job's slots as used by its namespace."""
        if pool in self.pools:
            self._used[pool, job.namespace] += held_slots(job, self.pools[pool])

    def without(self, jobs: Iterable[Job]) -> "Shares":
        """The ledger as if these jobs did not run."""
        other = copy.copy(self)
        other._used = self._used.copy()
        for job in jobs:
            for key in _pools_of(job) & self.pools.keys():
                other._used[key, job.namespace] -= held_slots(job, self.pools[key])
        return other

    def refusal(self, pool: str, job: Job) -> Why | None:
        """Why the job's namespace may not have more of this pool; None: it may.

        What a job holds in the pool it may always exchange for as much there, or it could never change its worker.
        """
        share = self._entries.get((pool, job.namespace))
        if share is None or share.max is None or pool in _pools_of(job):
            return None
        used, wanted = self._used[pool, job.namespace], held_slots(job, self.pools[pool])
        if used + wanted <= share.max:
            return None
        message = f"namespace {job.namespace} holds {used} of the {share.max} slots that pool {pool} gives it at most"
        return Why(Reason.NAMESPACE_SHARE_USED, message if wanted == 1 else f"{message}, and this job takes {wanted}")

    def ratio(self, pool: str, namespace: str) -> float:
        """Slots in use for each weight; the namespace with the lowest is furthest below its share."""
        share = self._entries.get((pool, namespace), NamespaceShare(namespace=namespace))
        return self._used[pool, namespace] / share.weight

    def competes_for(self, job: Job) -> str | None:
        """The pool whose shares decide on the job's turn: the first by name that has shares and takes it."""
        return next((key for key, pool in self.pools.items() if refusal(pool, job) is None), None)


def in_turn(queue: Iterable[Job], shares: Shares) -> Iterator[Job]:
    """The jobs of a queue that is in the order of starting, each namespace's in turn.

    Jobs that compete for the same pool with the same priority keep the places that they have in the queue as a whole;
    which of them comes at each is found when it is reached, with what has been taken until then. Any other job keeps
    its own place.
    """
    if not shares.pools:
        yield from queue
        return
    places = [(job, shares.competes_for(job)) for job in queue]
    turns: dict[tuple[int, str], _Turns] = {}
    for position, (job, pool) in enumerate(places):
        if pool is not None:
            turns.setdefault((job.spec.priority, pool), _Turns(_ratio_in(shares, pool))).line_up(position, job)
    for job, pool in places:
        yield job if pool is None else turns[job.spec.priority, pool].next()


class _Turns:
    """Whose turn it is among those who wait for one pool with one priority."""

    def __init__(self, ratio: Callable[[str], float]) -> None:
        self._ratio = ratio
        self._line: _Line = {}
        self._heap: list[tuple[float, int, str]] = []

    def line_up(self, position: int, job: Job) -> None:
        line = self._line.setdefault(job.namespace, deque())
        line.append((position, job))
        if len(line) == 1:
            self._push(job.namespace)

    def next(self) -> Job:
        while True:
            ratio, _, namespace = heapq.heappop(self._heap)
            # Ratios only rise while a plan is made, so an entry that is too old is put back where it belongs.
            if self._ratio(namespace) > ratio:
                self._push(namespace)
                continue
            _, job = self._line[namespace].popleft()
            if self._line[namespace]:
                # Its ratio is looked at again when this one is reached: by then the job may have been placed.
                self._push(namespace)
            return job

    def _push(self, namespace: str) -> None:
        position, _ = self._line[namespace][0]
        heapq.heappush(self._heap, (self._ratio(namespace), position, namespace))


def _ratio_in(shares: Shares, pool: str) -> Callable[[str], float]:
    return lambda namespace: shares.ratio(pool, namespace)


def _pools_of(job: Job) -> set[str]:
    """Pools in which the job holds a place: once in each, also while it moves within one."""
    return {worker.pool for worker in job.record.held} if job.record.phase in ASSIGNED else set()
