"""Compressed packets on their way from a decoding child to its parent: in the memory that frames would else be handed
over in, used round and round."""

import mmap
from collections import deque
from typing import Final

from videofleet_worker.decode.ring import Plane

RING_BYTES: Final = 8 * 2**20
"""Of that memory, if there is so much. Enough for two seconds of any usual camera, or for one picture of 4K that is
nearly uncompressed."""
MOST_PACKETS: Final = 256
"""Packets that may be under way at a time, however small they are."""


class PacketWriter:
    """The child's end. Packets are freed in the order in which they were written."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._size = min(RING_BYTES, len(memory))
        self._used: deque[tuple[int, int]] = deque()

    def write(self, data: bytes) -> int | None:
        """Where the packet lies now; None where there is no room yet. Raises ValueError for one that never fits."""
        if len(data) > self._size:
            raise ValueError(f"a packet of {len(data)} bytes is larger than {self._size}")
        start = self._room(len(data))
        if start is None or len(self._used) >= MOST_PACKETS:
            return None
        self._memory[start : start + len(data)] = data
        self._used.append((start, start + len(data)))
        return start

    def release(self, packets: int) -> None:
        """The oldest so many packets have been read."""
        for _ in range(min(packets, len(self._used))):
            self._used.popleft()

    def _room(self, size: int) -> int | None:
        if not self._used:
            return 0
        oldest, newest = self._used[0][0], self._used[-1][1]
        if newest > oldest:
            if newest + size <= self._size:
                return newest
            return 0 if size < oldest else None
        return newest if newest + size < oldest else None


class PacketReader:
    """The parent's end, over memory that a process writes which is not trusted."""

    def __init__(self, content: Plane) -> None:
        self._memory = content[:RING_BYTES]
        self._under_way = 0

    def read(self, start: int, size: int) -> bytes:
        """A copy of a packet, which nobody can change any more. Raises ValueError for one that cannot be there."""
        if start + size > len(self._memory):
            raise ValueError("a packet beyond its memory")
        if self._under_way >= MOST_PACKETS:
            raise ValueError("more packets than were asked for")
        self._under_way += 1
        return self._memory[start : start + size].tobytes()

    def release(self) -> None:
        """A packet was used; the child may send another."""
        self._under_way -= 1

    def close(self) -> None:
        """Give the memory back."""
        self._memory = self._memory[:0].copy()
