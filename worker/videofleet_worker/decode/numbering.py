"""Which number a decoded frame has among all frames of its source. Pure."""

import heapq

# More packets than any decoder holds back: what waits longer than these has been lost in silence.
_LONGEST_DELAY = 64


class FrameNumbers:
    """Counts what was demuxed, in the order of display, so that damage shifts no number.

    Some decoders say nothing of a packet they can make no picture of. So each packet's timestamp is kept until a
    picture with that timestamp or a later one comes out: those before it are lost.
    """

    def __init__(self) -> None:
        self._waiting: list[float] = []
        self._latest = 0.0
        self.next_index = 0

    def received(self, stamp: float | None) -> int:
        """A packet goes into the decoder; how many earlier ones must be given up as lost."""
        if stamp is not None:
            self._latest = stamp
        heapq.heappush(self._waiting, self._latest)
        return self._pop() if len(self._waiting) > _LONGEST_DELAY else 0

    def skipped(self, packets: int) -> None:
        """Packets were thrown away before the decoder."""
        self.next_index += packets

    def shown(self, stamp: float | None) -> tuple[int, int]:
        """A picture came out: its number, and how many before it were lost."""
        passed = self._pop() if self._waiting else 0
        while stamp is not None and self._waiting and self._waiting[0] <= stamp:
            passed += self._pop()
        # One packet can hold two pictures: the second has passed none, and is a picture all the same.
        if not passed:
            self.next_index += 1
        return self.next_index - 1, max(0, passed - 1)

    def ended(self) -> int:
        """Nothing more comes out: how many are lost inside."""
        lost = 0
        while self._waiting:
            lost += self._pop()
        return lost

    def _pop(self) -> int:
        heapq.heappop(self._waiting)
        self.next_index += 1
        return 1
