"""One decoded frame, as the rest of the worker sees it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np

from videofleet_worker.colours import Matrix
from videofleet_worker.decode.ring import Plane, SlotViews
from videofleet_worker.device.picture import Picture

MAX_AGE: Final = 0.5
"""Seconds. A frame of a live source that is older is of no use any more."""


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
    arrival: float | None = None
    matrix: Matrix = "bt601"


class Views(Protocol):
    """Where the pixels of a frame are."""

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]: ...

    @property
    def tensor(self) -> Plane | None: ...

    @property
    def picture(self) -> Picture | None: ...

    def jpeg(self, area: tuple[int, int, int, int]) -> bytes | None: ...


class Frame:
    """A frame in memory that is used again: its arrays are valid until `release()`, which gives the slot back to the
    decoder.

    index: number of the frame in the source, counted over all frames decoded, never decreasing, over reconnects too.
    pts: seconds since the first frame of the run. capture_time: Unix time. arrival: Unix time too; the capture time
    differs from it where the camera itself tells that.
    tensor: uint8 [3, height, width] RGB, the whole picture stretched to the size of the model; None where it is not
    made, as for a frame on a device.
    planes: Y [H, W], U and V [H/2, W/2] (rounded up), uint8, at full resolution; those of a frame on a device are
    copied from there when they are first asked for.
    picture: the frame on its device; None for one in the processor's memory.
    full_range: whether the planes use 0 to 255 (JPEG) instead of 16 to 235 (broadcast).
    matrix: by which Y, U and V were made of red, green and blue.
    masks: the number of the privacy masks that are burnt into planes and tensor; it rises with every change of them.
    """

    __slots__ = ("_lock", "_on_release", "_views", "header")

    def __init__(self, header: FrameHeader, views: Views, on_release: Callable[[], None]) -> None:
        self.header = header
        self._views = views
        self._on_release: Callable[[], None] | None = on_release
        self._lock = threading.Lock()

    @property
    def tensor(self) -> Plane | None:
        """The whole picture at the model's size."""
        return self._views.tensor

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """The picture at full resolution."""
        return self._views.planes

    @property
    def picture(self) -> Picture | None:
        """The picture on its device."""
        return self._views.picture

    def jpeg(self, area: tuple[int, int, int, int]) -> bytes | None:
        """A part of the picture (left, top, right, bottom) as its device encodes it; None: its planes are to be."""
        return self._views.jpeg(area)

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
    def arrival(self) -> float:
        """Unix time at which the picture came, or would have come had it not had to wait."""
        return self.header.capture_time if self.header.arrival is None else self.header.arrival

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
    def matrix(self) -> Matrix:
        """By which Y, U and V were made."""
        return self.header.matrix

    @property
    def masks(self) -> int:
        """Number of the privacy masks that are burnt in."""
        return self.header.masks

    def copy(self) -> "Frame":
        """The picture at full resolution in memory of its own, which needs no release."""
        y, u, v = self.planes
        views = SlotViews(y.copy(), u.copy(), v.copy(), tensor=np.empty((3, 0, 0), np.uint8))
        return Frame(self.header, views, lambda: None)

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
