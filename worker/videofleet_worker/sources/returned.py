"""Slots that consumers have given back, on their way to the decoder."""

from collections import deque
from typing import Final, Protocol

from videofleet_worker.decode.messages import SlotsFree
from videofleet_worker.sources.context import FrameRing

# To wake a decoder takes about as long as it needs for a small picture.
_AT_ONCE: Final = 3


class Tell(Protocol):
    """Says to a decoder that slots are free; `unblocks`: there was none before."""

    def __call__(self, free: SlotsFree, *, unblocks: bool) -> None: ...


class ReturnedSlots:
    """Has the decoder told of slots that are free: at once where somebody waits for what comes in them, else of several
    together. A slot counts as free, for its ring too, when the decoder knows of it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._slots: deque[tuple[FrameRing, int]] = deque()
        self._gathers = False

    def put(self, ring: FrameRing, slot: int) -> None:
        """Nobody reads this slot any more. From any thread."""
        self._slots.append((ring, slot))
        if not self._gathers or len(self._slots) >= _AT_ONCE:
            self._tell_all()

    def gather(self) -> None:
        """Nobody waits: there are frames."""
        self._gathers = True

    def hurry(self) -> None:
        """Somebody waits for the next frame."""
        self._gathers = False
        self._tell_all()

    def _tell_all(self) -> None:
        told: dict[int, list[int]] = {}
        unblocks = False
        while self._slots:
            try:
                ring, slot = self._slots.popleft()
            except IndexError:
                # Another thread was faster.
                break
            unblocks = unblocks or ring.full
            ring.release(slot)
            told.setdefault(ring.number, []).append(slot)
        for number, slots in told.items():
            self._tell(SlotsFree(ring=number, slots=slots), unblocks=unblocks)
