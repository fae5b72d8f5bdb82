"""Slots for frames on a device: each is a copy of its own, since a decoder has few surfaces and reads them again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.masks import MaskBurner, Planes
from videofleet_worker.decode.messages import UseMasks
from videofleet_worker.decode.picture import is_full_range, matrix_of
from videofleet_worker.decode.ring import Plane
from videofleet_worker.device.device import Device
from videofleet_worker.device.jpeg import Area, PictureEncoder
from videofleet_worker.device.picture import Array, Picture
from videofleet_worker.sources.errors import SourceError


@dataclass(frozen=True)
class DeviceViews:
    """A slot that holds a frame. `shown` are its planes for people, where these are not the picture's own."""

    device: Device
    picture: Picture
    shown: Planes | None = None
    tensor: None = None
    encoder: PictureEncoder | None = None

    @cached_property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """The planes, in the processor's memory."""
        if self.shown is not None:
            return self.shown
        picture = self.picture
        luma, blue, red = (self.device.to_host(plane) for plane in (picture.luma, picture.blue, picture.red))
        return luma, blue, red

    def jpeg(self, area: Area) -> bytes | None:
        """A part of the picture; None where the processor has to encode it."""
        # What people may see lies in the processor's memory then.
        return None if self.encoder is None or self.shown is not None else self.encoder.encode(self.picture, area)


class DeviceRing:
    """Slots for pictures of one size. One thread writes, another one reads and says what it has read."""

    def __init__(self, number: int, width: int, height: int, slots: int) -> None:
        self.number = number
        self.width = width
        self.height = height
        self.written: dict[int, DeviceViews] = {}
        self.arrays: dict[int, list[Array]] = {}
        self.unused = set(range(slots))
        self._slots = slots
        self._taken: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return len(self._taken) >= self._slots

    def take(self, slot: int) -> DeviceViews:
        """The frame in a slot that has just been filled."""
        self._taken.add(slot)
        return self.written[slot]

    def release(self, slot: int) -> None:
        """Take note that a slot is free again."""
        self._taken.discard(slot)


class DeviceShelf:
    """See decode.shelf.Shelf. `announce` is told of each new ring before a frame lies in it."""

    def __init__(
        self,
        device: Device,
        slots: int,
        announce: Callable[[DeviceRing], None],
        encoder: PictureEncoder | None = None,
    ) -> None:
        self.number = -1
        self._encoder = encoder
        self._device = device
        self._slots = slots
        self._announce = announce
        self._ring: DeviceRing | None = None
        self._masks: UseMasks = UseMasks(number=0, masks=[])
        self._burner: tuple[tuple[int, int], MaskBurner] | None = None

    def slot(self, frame: VideoFrame) -> int | None:
        """See Shelf."""
        ring = self._ring
        if ring is None or (ring.width, ring.height) != (frame.width, frame.height):
            self.number += 1
            ring = self._ring = DeviceRing(self.number, frame.width, frame.height, self._slots)
            self._announce(ring)
        if not ring.unused:
            return None
        slot = min(ring.unused)
        ring.unused.remove(slot)
        return slot

    def write(self, frame: VideoFrame, slot: int) -> None:
        """See Shelf. The frame may lie on the device or, of a decoder that runs on the processor, in its memory."""
        assert self._ring is not None, "the slot is one of its"
        planes = [self._device.read(plane) for plane in frame.planes]
        if any(plane.dtype != np.uint8 for plane in planes):
            raise SourceError(ErrorCode.CODEC, "the pictures have more than 8 bits now")
        arrays = self._ring.arrays.get(slot)
        if arrays is None or [one.shape for one in arrays] != [one.shape for one in planes]:
            arrays = self._ring.arrays[slot] = [self._device.empty(plane.shape, "uint8") for plane in planes]
        for target, given in zip(arrays, planes, strict=True):
            self._device.copy(target, given)
        picture = _picture(arrays, frame)
        shown = self._burn(picture, (frame.width, frame.height)) if self._masks.masks else None
        # Once this is done the decoder may have its surface back.
        self._device.finish()
        self._ring.written[slot] = DeviceViews(self._device, picture, shown, encoder=self._encoder)

    def free(self, ring: int, slot: int) -> None:
        """See Shelf."""
        if self._ring is not None and ring == self.number:
            self._ring.unused.add(slot)

    def use(self, masks: UseMasks) -> None:
        """See Shelf."""
        self._masks, self._burner = masks, None

    def _burn(self, picture: Picture, size: tuple[int, int]) -> Planes:
        """Burn the masks into the picture; what people may see of it.

        In the processor's memory, by the code that burns them everywhere else. What was blurred for people is grey for
        models.
        """
        try:
            if self._burner is None or self._burner[0] != size:
                self._burner = size, MaskBurner(self._masks.masks, *size)
            burner, own = self._burner[1], (picture.luma, picture.blue, picture.red)
            luma, blue, red = (np.array(self._device.to_host(plane)) for plane in own)
            burner.burn((luma, blue, red), full_range=picture.full_range)
            shown = luma.copy(), blue.copy(), red.copy()
            burner.flatten((luma, blue, red))
            self._upload(own, (luma, blue, red))
        except Exception as error:
            # Whatever it is: a picture that may show what must not be seen goes nowhere.
            message = f"privacyMasks cannot be burnt into the picture ({type(error).__name__}: {error})"
            raise SourceError(ErrorCode.INTERNAL, message) from error
        return shown

    def _upload(self, targets: tuple[Any, Any, Any], planes: Planes) -> None:
        for target, plane in zip(targets, planes, strict=True):
            self._device.from_host(target, plane)


def _picture(arrays: list[Array], frame: VideoFrame) -> Picture:
    luma, *chroma = arrays
    blue, red = (chroma[0][..., 0], chroma[0][..., 1]) if len(chroma) == 1 else chroma
    return Picture(luma, blue, red, is_full_range(frame), matrix_of(frame))
