"""Workers of one kind, kept by their free slots."""

import bisect
from typing import Final, NamedTuple

from videofleet_api.workerpool import Packing
from videofleet_operator.domain.model import Worker

_SPREAD: Final = Packing.SPREAD
_PACKED_FIRST: Final = {Packing.BINPACK: 0, Packing.SPREAD: 1}
"""Over several pools, one that packs is filled before one that spreads."""


class Offer(NamedTuple):
    """A worker with room; the smallest offer is the one to take."""

    rank: int
    distance: int
    """Free slots, negated where the emptiest worker is wanted."""
    name: str
    id: str
    shelf: int
    """Index of the shelf that it stands on."""

    @property
    def free(self) -> int:
        """Slots that are free on the worker."""
        return abs(self.distance)


class Terms(NamedTuple):
    """What a job demands of a worker besides free slots."""

    avoid: frozenset[str] = frozenset()
    """Ids of workers that it does not go to."""
    alone: bool = False
    """Only an empty worker will do, and the job takes all of it."""


ANY_WORKER: Final = Terms()


class Shelf:
    """Workers of one pool that can run the same steps."""

    def __init__(self, index: int, packing: Packing, *, isolated: bool = False, last: bool = False) -> None:
        """`isolated`: a worker is for one job, whatever its slots. `last`: taken where no other shelf has room."""
        self.index = index
        self._packing = packing
        self._isolated = isolated
        self._rank = _PACKED_FIRST[packing] + (len(_PACKED_FIRST) if last else 0)
        self._by_free: dict[int, list[tuple[str, str]]] = {}
        """Names and ids, sorted."""
        self._offers: dict[int, Offer | None] = {}
        self._empty: set[tuple[str, str]] = set()
        self.workers = 0
        self.total = 0
        self.used = 0
        self.limited: list[Worker] = []
        """Those that take fewer slots than their pool says."""

    def put(self, name: str, worker_id: str, capacity: int, used: int) -> None:
        """Add a worker. One that has more than it can hold has no free slot."""
        self.workers += 1
        self.total += capacity
        self.used += used
        entry = (name, worker_id)
        if not used:
            self._empty.add(entry)
        self._push(max(0, capacity - used), entry)

    def best(self, slots: int) -> Offer | None:
        """The worker to take for so many slots; ties go to the first name."""
        slots = 1 if self._isolated else slots
        if slots not in self._offers:
            free = self._first(slots)
            self._offers[slots] = None if free is None else self._offer(free, self._by_free[free][0])
        return self._offers[slots]

    def best_of(self, slots: int, terms: Terms) -> Offer | None:
        """As `best`, for the few that not every worker may take; looks at the workers one by one."""
        slots = 1 if self._isolated else slots
        if terms.alone and not self._empty:
            return None
        for free in self._fitting(slots):
            able = next((each for each in self._by_free[free] if self._meets(each, terms)), None)
            if able is not None:
                return self._offer(free, able)
        return None

    def others(self, ids: frozenset[str]) -> int:
        """How many of the workers here are not among these."""
        return sum(worker_id not in ids for entries in self._by_free.values() for _, worker_id in entries)

    def take(self, offer: Offer, slots: int) -> None:
        """Use slots of a worker. Raises ValueError when it no longer has the free slots that it was offered with."""
        slots = 1 if self._isolated else slots
        entry, free = (offer.name, offer.id), offer.free
        entries = self._by_free.get(free, [])
        index = _index(entries, entry)
        if free < slots or index is None:
            raise ValueError(f"worker {offer.name} no longer has the {free} free slots that it was offered with")
        del entries[index]
        if not entries:
            del self._by_free[free]
        self.used += slots
        self._empty.discard(entry)
        self._push(free - slots, entry)

    def _first(self, slots: int) -> int | None:
        """The count of free slots to take from."""
        if self._packing is _SPREAD:
            most = max(self._by_free, default=0)
            return most if most >= slots else None
        return min((free for free in self._by_free if free >= slots), default=None)

    def _fitting(self, slots: int) -> list[int]:
        """Counts of free slots that are enough, those to take from first."""
        fitting = (free for free in self._by_free if free >= slots)
        return sorted(fitting, reverse=self._packing is _SPREAD)

    def _meets(self, worker: tuple[str, str], terms: Terms) -> bool:
        return worker[1] not in terms.avoid and (not terms.alone or worker in self._empty)

    def _offer(self, free: int, worker: tuple[str, str]) -> Offer:
        distance = -free if self._packing is _SPREAD else free
        return Offer(self._rank, distance, worker[0], worker[1], self.index)

    def _push(self, free: int, entry: tuple[str, str]) -> None:
        self._offers.clear()
        entries = self._by_free.get(free)
        if entries is None:
            self._by_free[free] = [entry]
        elif entries[-1] < entry:
            entries.append(entry)
        else:
            bisect.insort(entries, entry)


def _index(entries: list[tuple[str, str]], entry: tuple[str, str]) -> int | None:
    # Nearly always it is the first.
    index = 0 if entries and entries[0] == entry else bisect.bisect_left(entries, entry)
    return index if index < len(entries) and entries[index] == entry else None
