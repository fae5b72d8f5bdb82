"""Those who watch a source as it is: each gets a head, then pieces from a keyframe on. Nobody is waited for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from videofleet_worker.decode.messages import DirectBegins, DirectPiece

_MOST_WAITING: Final = 256
_MOST_BYTES: Final = 8 * 2**20


class Farewell(StrEnum):
    """Why there is no more to watch."""

    ENDED = "the job has ended here"
    MASKED = "PrivacyMask"


@dataclass(frozen=True)
class Head:
    """What pieces begin with: their media type, and bytes, which pictures (image/jpeg) do not need."""

    mime: str
    data: bytes


@dataclass(frozen=True)
class Piece:
    """A picture as the source has it. `keyframe`: it can be begun with."""

    data: bytes
    keyframe: bool


class DirectViewer:
    """One who watches, with room for some seconds."""

    def __init__(self) -> None:
        self.farewell: Farewell | None = None
        self._waiting: deque[Head | Piece] = deque()
        self._bytes = 0
        self._joined = False
        self._too_slow = False
        self._changed = asyncio.Event()

    async def parts(self) -> AsyncGenerator[Head | Piece, None]:
        """What there is to see, until the farewell. A head anew where the source begins anew."""
        while True:
            if self._waiting:
                part = self._waiting.popleft()
                self._bytes -= len(part.data)
                yield part
            elif self.farewell is not None:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    def begin(self, head: Head) -> None:
        """The pieces that follow belong to this head."""
        self._joined = False
        self._add(head)

    def offer(self, piece: Piece) -> int:
        """How many pieces it misses by this: one that is too slow goes on with the next keyframe."""
        missed = self._make_room() if self._is_full(piece) else 0
        if not self._joined and not piece.keyframe:
            return missed + self._too_slow
        self._joined, self._too_slow = True, False
        self._add(piece)
        return missed

    def leave(self, farewell: Farewell) -> None:
        """Nothing more comes; what is masked is not shown either though it waits."""
        if farewell is Farewell.MASKED:
            self._waiting.clear()
        self.farewell = self.farewell or farewell
        self._changed.set()

    def _add(self, part: Head | Piece) -> None:
        self._waiting.append(part)
        self._bytes += len(part.data)
        self._changed.set()

    def _is_full(self, piece: Piece) -> bool:
        return len(self._waiting) >= _MOST_WAITING or self._bytes + len(piece.data) > _MOST_BYTES

    def _make_room(self) -> int:
        """Of what waits only the last head is kept; how many pieces were thrown away."""
        heads = [part for part in self._waiting if isinstance(part, Head)]
        missed = len(self._waiting) - len(heads)
        self._waiting = deque(heads[-1:])
        self._bytes = sum(len(head.data) for head in self._waiting)
        self._joined, self._too_slow = False, True
        return missed


Tell = Callable[[int], None]


class DirectFeed:
    """Asks the connection that there is for packets while somebody watches, and shares them.

    Each time that it begins to ask it does so under another number, so that what comes too late is known.
    """

    def __init__(self) -> None:
        self.missed = 0
        """Pieces that viewers were too slow for."""
        self._viewers: set[DirectViewer] = set()
        self._number = 0
        self._head: Head | None = None
        self._tell: Tell | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._viewers)

    @contextmanager
    def enter(self) -> Iterator[DirectViewer]:
        """Watch from now on."""
        viewer = DirectViewer()
        if self._closed:
            viewer.leave(Farewell.ENDED)
        elif self._head is not None:
            viewer.begin(self._head)
        elif not self._viewers:
            self._ask()
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            if viewer in self._viewers:
                self._viewers.discard(viewer)
                self._stop_unwatched()

    def connected(self, tell: Tell) -> None:
        """There is another connection, which `tell` reaches: with a number to hand packets over, with 0 not to."""
        self._tell = tell
        self._head = None
        if self._viewers:
            self._ask()

    def heard(self, message: DirectBegins | DirectPiece, data: bytes) -> None:
        """What the connection hands over."""
        if isinstance(message, DirectBegins):
            self.begins(message.watch, Head(message.mime, data))
        else:
            self.piece(message.watch, Piece(data, message.keyframe))

    def begins(self, number: int, head: Head) -> None:
        """The connection says what is to come."""
        if number == self._number and self._viewers:
            self._head = head
            for viewer in self._viewers:
                viewer.begin(head)

    def piece(self, number: int, piece: Piece) -> None:
        """The connection hands one over."""
        if number == self._number and self._head is not None:
            self.missed += sum(viewer.offer(piece) for viewer in self._viewers)

    def send_home(self, farewell: Farewell) -> None:
        """Those who watch now are done; others may come."""
        for viewer in self._viewers:
            viewer.leave(farewell)
        self._viewers.clear()
        self._stop_unwatched()

    def close(self) -> None:
        """There will be nothing more to see."""
        self._closed = True
        for viewer in self._viewers:
            viewer.leave(Farewell.ENDED)

    def _ask(self) -> None:
        self._number += 1
        self._head = None
        if self._tell is not None:
            self._tell(self._number)

    def _stop_unwatched(self) -> None:
        if self._viewers:
            return
        # What is on its way comes under the old number.
        self._number += 1
        self._head = None
        if self._tell is not None:
            self._tell(0)
