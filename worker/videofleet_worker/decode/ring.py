"""The memory that a decoding child and its parent share: a memfd of equal slots, one frame each."""

import fcntl
import mmap
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

MAX_SIDE = 8192
MAX_SLOTS = 64
_PAGE = 4096
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True)
class RingLayout:
    """Where things lie in a ring. Sizes in pixels; planes are contiguous, without padding between rows."""

    width: int
    height: int
    model_width: int
    model_height: int
    slots: int

    def __post_init__(self) -> None:
        for name in ("width", "height", "model_width", "model_height"):
            if not 1 <= getattr(self, name) <= MAX_SIDE:
                raise ValueError(f"ring {name} must be 1 to {MAX_SIDE}, got {getattr(self, name)}")
        if not 1 <= self.slots <= MAX_SLOTS:
            raise ValueError(f"ring slots must be 1 to {MAX_SLOTS}, got {self.slots}")

    @property
    def chroma(self) -> tuple[int, int]:
        """Height and width of the U and the V plane."""
        return (self.height + 1) // 2, (self.width + 1) // 2

    @property
    def picture_bytes(self) -> int:
        """Bytes of the three full-resolution planes."""
        rows, columns = self.chroma
        return self.width * self.height + 2 * rows * columns

    @property
    def slot_bytes(self) -> int:
        """Bytes from one slot to the next, whole pages."""
        return _round_up(_round_up(self.picture_bytes, 64) + 3 * self.model_width * self.model_height, _PAGE)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole ring."""
        return self.slots * self.slot_bytes

    def shows(self, width: int, height: int) -> bool:
        """Whether the slots are for pictures of this size."""
        return (self.width, self.height) == (width, height)

    def views(self, memory: NDArray[np.uint8], slot: int) -> "SlotViews":
        """The arrays of one slot over `memory`, which is the whole ring as bytes."""
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot must be 0 to {self.slots - 1}, got {slot}")
        start = slot * self.slot_bytes
        rows, columns = self.chroma
        y_end = start + self.width * self.height
        u_end = y_end + rows * columns
        v_end = u_end + rows * columns
        tensor_at = start + _round_up(self.picture_bytes, 64)
        tensor = memory[tensor_at : tensor_at + 3 * self.model_width * self.model_height]
        return SlotViews(
            y=memory[start:y_end].reshape(self.height, self.width),
            u=memory[y_end:u_end].reshape(rows, columns),
            v=memory[u_end:v_end].reshape(rows, columns),
            tensor=tensor.reshape(3, self.model_height, self.model_width),
        )


@dataclass(frozen=True)
class SlotViews:
    """One slot: the picture as yuv420p planes [H, W], [H/2, W/2], [H/2, W/2] and the model's tensor [3, h, w] RGB."""

    y: Plane
    u: Plane
    v: Plane
    tensor: Plane
    picture: None = None

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """Y, U and V."""
        return self.y, self.u, self.v


class RingWriter:
    """The child's end: owns the memfd and knows which slots are free."""

    def __init__(self, number: int, layout: RingLayout) -> None:
        self.number = number
        self.layout = layout
        self.fd = os.memfd_create("videofleet-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, layout.total_bytes)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        self._memory = np.frombuffer(mmap.mmap(self.fd, layout.total_bytes), dtype=np.uint8)
        self._free = set(range(layout.slots))

    def acquire(self) -> int | None:
        """A free slot, or None. The lowest is taken, so that a fast consumer touches little memory."""
        if not self._free:
            return None
        slot = min(self._free)
        self._free.remove(slot)
        return slot

    def release(self, slot: int) -> None:
        """Make a slot free again."""
        self._free.add(slot)

    def views(self, slot: int) -> SlotViews:
        """Writable arrays of a slot."""
        return self.layout.views(self._memory, slot)

    def close(self) -> None:
        """Give the descriptor back; the mapping goes with the last array over it."""
        os.close(self.fd)


class RingReader:
    """The parent's end: a read-only mapping of a memfd that came from a process that is not trusted."""

    def __init__(self, number: int, layout: RingLayout, fd: int) -> None:
        """Takes `fd` over. Raises ValueError when the descriptor is not a sealed memfd of exactly the right size."""
        self.number = number
        self.layout = layout
        self.width, self.height = layout.width, layout.height
        try:
            self._memory = np.frombuffer(map_sealed(fd, layout.total_bytes), dtype=np.uint8)
        finally:
            os.close(fd)
        self._taken: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return len(self._taken) >= self.layout.slots

    def take(self, slot: int) -> SlotViews:
        """Read-only arrays of a slot the child has just filled. Raises ValueError for one that it must not touch."""
        if slot in self._taken:
            raise ValueError(f"slot {slot} was sent twice without having been freed")
        views = self.layout.views(self._memory, slot)
        self._taken.add(slot)
        return views

    def release(self, slot: int) -> None:
        """Take note that a slot is free again."""
        self._taken.discard(slot)


def map_sealed(fd: int, size: int) -> mmap.mmap:
    """Without the seals the child could shrink the file, and reading it would kill the parent with SIGBUS."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise ValueError("the frame memory is not a memfd") from error
    if seals & SEALS != SEALS:
        raise ValueError("the size of the frame memory is not sealed")
    actual = os.fstat(fd).st_size
    if actual != size:
        raise ValueError(f"the frame memory has {actual} bytes, its header promises {size}")
    return mmap.mmap(fd, size, prot=mmap.PROT_READ)


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
