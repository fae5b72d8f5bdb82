"""The order in which coded frames will be shown, known from their timestamps before any is decoded. Pure."""

import heapq
from dataclasses import dataclass

from videofleet_worker.decode.choice import Judged
from videofleet_worker.decode.packets import VideoPacket

# As many as any decoder holds back.
_MOST_WAITING = 32


class IrregularError(Exception):
    """The timestamps do not tell the order."""


@dataclass(eq=False)
class Coded:
    """A packet, its place among all packets of the stream and when it came; then its number as a frame, and what was
    said of that."""

    packet: VideoPacket
    place: int
    arrival: float
    index: int = -1
    judged: Judged | None = None

    @property
    def pts(self) -> int:
        """Its timestamp, which packets in a DisplayOrder have."""
        assert self.packet.pts is not None, "DisplayOrder takes no packet without one"
        return self.packet.pts


class DisplayOrder:
    """Numbers frames as they will be shown: a decoding timestamp promises that nothing earlier follows.

    delay: the most that one was seen to be shown after it was decoded, in units of the stream.
    """

    def __init__(self, next_index: int) -> None:
        self.next_index = next_index
        self.delay = 0
        self._waiting: list[tuple[int, Coded]] = []
        self._last_dts: int | None = None
        self._last_shown: int | None = None

    def add(self, coded: Coded) -> list[Coded]:
        """The frames whose turn is certain now, in order. Raises IrregularError; `coded` is not in here then."""
        pts, dts = coded.packet.pts, coded.packet.dts
        if pts is None or self._contradicts(pts, dts):
            raise IrregularError
        if len(self._waiting) >= _MOST_WAITING:
            raise IrregularError
        heapq.heappush(self._waiting, (pts, coded))
        if dts is None:
            return []
        self._last_dts, self.delay = dts, max(self.delay, pts - dts)
        return self._shown_until(dts)

    def rest(self) -> list[Coded]:
        """Those that still wait, in order: nothing follows before which they would have to wait."""
        return self._shown_until(None)

    def undecided(self) -> list[Coded]:
        """Those that still wait, in order, without a number: others may come before them."""
        return [coded for _, coded in sorted(self._waiting, key=lambda one: one[0])]

    def _contradicts(self, pts: int, dts: int | None) -> bool:
        if dts is not None and (pts < dts or (self._last_dts is not None and dts <= self._last_dts)):
            return True
        if self._last_shown is not None and pts <= self._last_shown:
            return True
        return any(pts == other for other, _ in self._waiting)

    def _shown_until(self, dts: int | None) -> list[Coded]:
        shown = []
        while self._waiting and (dts is None or self._waiting[0][0] <= dts):
            self._last_shown, coded = heapq.heappop(self._waiting)
            coded.index = self.next_index
            self.next_index += 1
            shown.append(coded)
        return shown
