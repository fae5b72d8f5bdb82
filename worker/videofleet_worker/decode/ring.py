"""The memory that a decoding child and its parent share: a memfd of equal slots, one frame each."""

import fcntl
import mmap
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

MAX_SIDE = 8192
MAX_SLOTS = 64
_PAGE = 4096
_MIB = 2**20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


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

    @classmethod
    def within(
        cls, size: int, width: int, height: int, model_width: int, model_height: int, slots: int
    ) -> "RingLayout":
        """As many of the slots as `size` bytes hold. Raises ValueError where they hold none."""
        wanted = cls(width, height, model_width, model_height, slots)
        fitting = size // wanted.slot_bytes
        if fitting == 0:
            need, there = -(-wanted.slot_bytes // _MIB), size // _MIB
            raise ValueError(
                f"one takes {need} MiB, and a stream of this worker has {there} MiB for them: give the pool's workers "
                "more memory, or a smaller capacityPerWorker"
            )
        return replace(wanted, slots=min(slots, fitting))

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

    def jpeg(self, area: tuple[int, int, int, int]) -> None:
        """See Views: the processor has to encode it."""


class RingMemory:
    """The parent's end of what one child hands its frames over in: made and sealed here, so that a child can have no
    more of it than it was given. Pages count from when they are first written."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fd = os.memfd_create("videofleet-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, size)
            # A child that could shrink it would kill the parent with SIGBUS.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
            self.content: Plane = np.frombuffer(mmap.mmap(self.fd, size, prot=mmap.PROT_READ), dtype=np.uint8)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def leave(self) -> None:
        """No new ring is laid out in it: the mapping goes with the last frame that is held."""
        self.content = np.empty(0, np.uint8)


class RingWriter:
    """The child's end: writes into the memory that it was given, and knows which slots are free."""

    def __init__(self, memory: mmap.mmap, layout: RingLayout) -> None:
        self.number = 0
        self.layout = layout
        self._mapping = memory
        self._memory = np.frombuffer(memory, dtype=np.uint8)
        self._free = set(range(layout.slots))

    @property
    def unused(self) -> bool:
        """Whether no slot is with the parent."""
        return len(self._free) == self.layout.slots

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

    def lay_out(self, layout: RingLayout) -> None:
        """Use the memory for pictures of another size; only while it is unused. What was written is given back."""
        assert self.unused, "the parent still reads the pictures of the old size"
        self._mapping.madvise(mmap.MADV_REMOVE)
        self.number += 1
        self.layout = layout
        self._free = set(range(layout.slots))


class RingReader:
    """The parent's view of a ring, whose contents come from a process that is not trusted."""

    def __init__(self, number: int, layout: RingLayout, content: Plane) -> None:
        self.number = number
        self.layout = layout
        self.width, self.height = layout.width, layout.height
        self._memory = content
        self._taken: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return len(self._taken) >= self.layout.slots

    @property
    def unused(self) -> bool:
        """Whether all slots are free."""
        return not self._taken

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


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
