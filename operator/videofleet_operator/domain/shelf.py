"""Workers of one kind, kept by their free slots."""

import heapq
from typing import Final, NamedTuple

from videofleet_api.workerpool import Packing

_PACKED_FIRST: Final = {Packing.BINPACK: 0, Packing.SPREAD: 1}
"""Over several pools, one that packs is filled before one that spreads."""


class Offer(NamedTuple):
    """A worker with room; the smallest offer is the one to take."""

    packing: int
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


class Shelf:
    """Workers of one pool that can run the same steps."""

    def __init__(self, index: int, packing: Packing, isolated: bool = False) -> None:
        """`isolated`: a worker is for one job, whatever its slots."""
        self._index = index
        self._packing = packing
        self._isolated = isolated
        self._by_free: dict[int, list[tuple[str, str]]] = {}
        self._offers: dict[int, Offer | None] = {}
        self.workers = 0
        self.total = 0
        self.used = 0

    def put(self, name: str, worker_id: str, capacity: int, used: int) -> None:
        """Add a worker. One that has more than it can hold has no free slot."""
        self.workers += 1
        self.total += capacity
        self.used += used
        self._push(max(0, capacity - used), name, worker_id)

    def best(self, slots: int) -> Offer | None:
        """The worker to take for so many slots; ties go to the first name."""
        slots = 1 if self._isolated else slots
        if slots not in self._offers:
            self._offers[slots] = self._find(slots)
        return self._offers[slots]

    def take(self, offer: Offer, slots: int) -> None:
        """Use slots of a worker that `best` offered last. Raises ValueError for an older offer."""
        slots = 1 if self._isolated else slots
        heap = self._by_free.get(offer.free)
        if not heap or heap[0] != (offer.name, offer.id) or offer.free < slots:
            raise ValueError(f"worker {offer.name} no longer has the {offer.free} free slots that it was offered with")
        heapq.heappop(heap)
        if not heap:
            del self._by_free[offer.free]
        self.used += slots
        self._push(offer.free - slots, offer.name, offer.id)

    def _find(self, slots: int) -> Offer | None:
        fitting = [free for free in self._by_free if free >= slots]
        if not fitting:
            return None
        spread = self._packing is Packing.SPREAD
        free = max(fitting) if spread else min(fitting)
        name, worker_id = self._by_free[free][0]
        return Offer(_PACKED_FIRST[self._packing], -free if spread else free, name, worker_id, self._index)

    def _push(self, free: int, name: str, worker_id: str) -> None:
        self._offers.clear()
        heapq.heappush(self._by_free.setdefault(free, []), (name, worker_id))
