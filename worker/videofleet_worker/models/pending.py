"""Images that wait for the model: streams take turns."""

from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """Something that waits.

    `stream` is whose it is. A batch has at most one item of a `lane` of a stream: whole frames of one are looked at
    one after the other, while all the objects of a frame may be looked at together. All items of a batch have one
    `shape`.
    """

    @property
    def stream(self) -> Hashable: ...

    @property
    def lane(self) -> Hashable: ...

    @property
    def shape(self) -> Hashable: ...


Item = TypeVar("Item", bound=Waiting)


class PendingQueue(Generic[Item]):
    """Streams take turns in the order in which they came, with one item a turn, so that none waits for all that another
    has; each one's own items go first in, first out. No locks of its own.
    """

    def __init__(self) -> None:
        # In the order of their turns; none without items.
        self._streams: dict[Hashable, deque[Item]] = {}
        # Kept, so that it can be read while another thread puts something in.
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def lanes(self) -> int:
        """How many lanes have something waiting: the largest batch that could be taken now."""
        shape = self._next_shape()
        return len(
            {(item.stream, item.lane) for items in self._streams.values() for item in items if item.shape == shape}
        )

    def add(self, item: Item) -> None:
        """Put an item behind all others of its stream."""
        self._streams.setdefault(item.stream, deque()).append(item)
        self._count += 1

    def remove(self, item: Item) -> bool:
        """Take one item out; False if it is not there (any more)."""
        items = self._streams.get(item.stream, ())
        if item not in items:
            return False
        self._take_out(item)
        return True

    def take(self, size: int) -> list[Item]:
        """Take a batch of at most `size`: the oldest item of the stream whose turn it is, then in turn the oldest of
        each that fit to it."""
        taken: list[Item] = []
        lanes: set[tuple[Hashable, Hashable]] = set()
        shape = self._next_shape()
        turns = deque(self._streams)
        while turns and len(taken) < size:
            stream = turns.popleft()
            item = next(
                (one for one in self._streams[stream] if one.shape == shape and (stream, one.lane) not in lanes), None
            )
            if item is None:
                # It keeps its turn.
                continue
            taken.append(item)
            lanes.add((stream, item.lane))
            if self._take_out(item):
                self._streams[stream] = self._streams.pop(stream)
                turns.append(stream)
        return taken

    def take_all(self) -> list[Item]:
        """Take everything that waits."""
        streams, self._streams, self._count = self._streams, {}, 0
        return [item for items in streams.values() for item in items]

    def _next_shape(self) -> Hashable:
        return next((items[0].shape for items in self._streams.values()), None)

    def _take_out(self, item: Item) -> bool:
        """Whether its stream has others."""
        items = self._streams[item.stream]
        items.remove(item)
        self._count -= 1
        if not items:
            del self._streams[item.stream]
        return bool(items)
