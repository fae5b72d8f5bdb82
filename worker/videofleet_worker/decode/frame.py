"""One decoded frame, as the rest of the worker sees it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from videofleet_worker.decode.ring import Plane, SlotViews


@dataclass(frozen=True)
class FrameHeader:
    """What is known of a frame besides its pixels."""

    index: int
    pts: float
    capture_time: float
    width: int
    height: int
    keyframe: bool
    full_range: bool
    masks: int = 0


class Frame:
    """A frame in shared memory. Its arrays are valid until `release()`, which gives the slot back to the decoder.

    index: number of the frame in the source, counted over all frames decoded, never decreasing, over reconnects too.
    pts: seconds since the first frame of the run. capture_time: Unix time.
    tensor: uint8 [3, height, width] RGB, the whole picture stretched to the size of the model.
    planes: Y [H, W], U and V [H/2, W/2] (rounded up), uint8, at full resolution.
    full_range: whether the planes use 0 to 255 (JPEG) instead of 16 to 235 (broadcast).
    masks: the number of the privacy masks that are burnt into planes and tensor; it rises with every change of them.
    """

    __slots__ = ("_lock", "_on_release", "header", "planes", "tensor")

    def __init__(self, header: FrameHeader, views: SlotViews, on_release: Callable[[], None]) -> None:
        self.header = header
        self.tensor: Plane = views.tensor
        self.planes: tuple[Plane, Plane, Plane] = (views.y, views.u, views.v)
        self._on_release: Callable[[], None] | None = on_release
        self._lock = threading.Lock()

    @property
    def index(self) -> int:
        """Number of the frame in the source."""
        return self.header.index

    @property
    def pts(self) -> float:
        """Seconds since the first frame of the run."""
        return self.header.pts

    @property
    def capture_time(self) -> float:
        """Unix time at which the picture was taken, as far as is known."""
        return self.header.capture_time

    @property
    def width(self) -> int:
        """Width in pixels at full resolution."""
        return self.header.width

    @property
    def height(self) -> int:
        """Height in pixels at full resolution."""
        return self.header.height

    @property
    def keyframe(self) -> bool:
        """Whether the frame can be decoded without others."""
        return self.header.keyframe

    @property
    def full_range(self) -> bool:
        """Whether the planes use the whole range from 0 to 255."""
        return self.header.full_range

    @property
    def masks(self) -> int:
        """Number of the privacy masks that are burnt in."""
        return self.header.masks

    def release(self) -> None:
        """Give the slot back. May be called more than once and from any thread; the arrays must not be read after."""
        with self._lock:
            callback, self._on_release = self._on_release, None
        if callback is not None:
            callback()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"Frame(index={self.index}, pts={self.pts:.3f}, {self.width}x{self.height})"
