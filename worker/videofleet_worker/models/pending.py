"""Images that wait for the model, oldest first."""

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """Something that waits, the stream that it belongs to, and what all that is taken at once must agree in."""

    @property
    def stream(self) -> Hashable: ...

    @property
    def shape(self) -> Hashable: ...


Item = TypeVar("Item", bound=Waiting)


class PendingQueue(Generic[Item]):
    """First in, first out, but at most one item a stream, and only of one shape, in what is taken at once.

    No locks of its own.
    """

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def streams(self) -> int:
        """How many streams have something waiting: the largest batch that could be taken now."""
        return len({item.stream for item in self._items if item.shape == self._items[0].shape})

    def add(self, item: Item) -> None:
        """Put an item behind all others."""
        self._items.append(item)

    def remove(self, item: Item) -> bool:
        """Take one item out; False if it is not there (any more)."""
        if item not in self._items:
            return False
        self._items.remove(item)
        return True

    def take(self, size: int) -> list[Item]:
        """Take the oldest item, and of those of its shape the oldest of at most `size` different streams in all."""
        taken: list[Item] = []
        left: list[Item] = []
        streams: set[Hashable] = set()
        for item in self._items:
            fits = not taken or item.shape == taken[0].shape
            if fits and len(taken) < size and item.stream not in streams:
                streams.add(item.stream)
                taken.append(item)
            else:
                left.append(item)
        self._items = left
        return taken

    def take_all(self) -> list[Item]:
        """Take everything that waits, oldest first."""
        taken, self._items = self._items, []
        return taken
