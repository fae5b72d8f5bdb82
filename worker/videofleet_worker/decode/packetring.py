"""Compressed packets on their way from a decoding child to its parent: a memfd, used round and round."""

import fcntl
import mmap
import os
from collections import deque
from typing import Final

import numpy as np

from videofleet_worker.decode.ring import SEALS, map_sealed

RING_BYTES: Final = 8 * 2**20
"""Enough for two seconds of any usual camera, or for one picture of 4K that is nearly uncompressed."""
MOST_PACKETS: Final = 256
"""Packets that may be under way at a time, however small they are."""


class PacketWriter:
    """The child's end. Packets are freed in the order in which they were written."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("videofleet-packets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, RING_BYTES)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        self._memory = mmap.mmap(self.fd, RING_BYTES)
        self._used: deque[tuple[int, int]] = deque()

    def write(self, data: bytes) -> int | None:
        """Where the packet lies now; None where there is no room yet. Raises ValueError for one that never fits."""
        if len(data) > RING_BYTES:
            raise ValueError(f"a packet of {len(data)} bytes is larger than {RING_BYTES}")
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
            if newest + size <= RING_BYTES:
                return newest
            return 0 if size < oldest else None
        return newest if newest + size < oldest else None


class PacketReader:
    """The parent's end: a read-only mapping of a memfd that came from a process that is not trusted."""

    def __init__(self, fd: int) -> None:
        """Takes `fd` over. Raises ValueError when the descriptor is not a sealed memfd of exactly the right size."""
        try:
            self._memory = np.frombuffer(map_sealed(fd, RING_BYTES), dtype=np.uint8)
        finally:
            os.close(fd)
        self._under_way = 0

    def read(self, start: int, size: int) -> bytes:
        """A copy of a packet, which nobody can change any more. Raises ValueError for one that cannot be there."""
        if start + size > RING_BYTES:
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
