"""What several shelves offer to jobs with the same demands."""

import heapq
from collections.abc import Iterable, Sequence

from videofleet_operator.domain.shelf import Offer, Shelf


class Front:
    """The best offer of some shelves for so many slots. Only shelves that something was taken from are asked again."""

    def __init__(self, shelves: Iterable[Shelf], slots: int, taken: Sequence[int]) -> None:
        """`taken`: indexes of shelves in the order in which something is taken from them; it grows."""
        self._shelves = {shelf.index: shelf for shelf in shelves}
        self._slots = slots
        self._taken = taken
        self._seen = 0
        self._offers: list[Offer] = []
        self._ask(self._shelves)

    def best(self) -> Offer | None:
        """The offer to take; None: no shelf has room."""
        if self._seen < len(self._taken):
            # All of them, where that is less than what was taken meanwhile.
            few = len(self._taken) - self._seen < len(self._shelves)
            self._ask(self._taken[self._seen :] if few else self._shelves)
        offers = self._offers
        while offers and self._shelves[offers[0].shelf].best(self._slots) is not offers[0]:
            heapq.heappop(offers)
        return offers[0] if offers else None

    def _ask(self, shelves: Iterable[int]) -> None:
        self._seen = len(self._taken)
        for index in shelves:
            shelf = self._shelves.get(index)
            offer = None if shelf is None else shelf.best(self._slots)
            if offer is not None:
                heapq.heappush(self._offers, offer)
