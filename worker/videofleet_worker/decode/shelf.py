"""Where decoded frames are put for those who analyse them."""

import mmap
from typing import Protocol

from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.messages import OpenRequest, RingReady, UseMasks
from videofleet_worker.decode.picture import PictureWriter
from videofleet_worker.decode.ring import RingWriter
from videofleet_worker.sources.errors import SourceError


class Shelf(Protocol):
    """Slots for frames, in a ring for each size of picture. `number` is that of the ring in use."""

    number: int

    def slot(self, frame: VideoFrame) -> int | None:
        """A free slot for a frame of this size; None where none is free. Raises SourceError for a size that cannot
        be."""
        ...

    def write(self, frame: VideoFrame, slot: int) -> None:
        """Fill the slot. Raises SourceError when privacy masks cannot be burnt in."""
        ...

    def free(self, ring: int, slot: int) -> None:
        """A slot of this ring is not read any more."""
        ...

    def use(self, masks: UseMasks) -> None:
        """Burn these masks into every frame from now on."""
        ...


class RingShelf:
    """Slots in memory that the parent has made and reads. See Shelf."""

    def __init__(self, request: OpenRequest, channel: ParentChannel, memory: mmap.mmap) -> None:
        self.number = -1
        self._request = request
        self._channel = channel
        self._memory = memory
        self._picture = PictureWriter(request.model_width, request.model_height)
        self._ring: RingWriter | None = None

    def slot(self, frame: VideoFrame) -> int | None:
        """See Shelf."""
        ring = self._ring
        if ring is None or not ring.layout.shows(frame.width, frame.height):
            if ring is not None and not ring.unused:
                # The parent still reads pictures of the size before.
                return None
            ring = self._lay_out(frame.width, frame.height)
        return ring.acquire()

    def write(self, frame: VideoFrame, slot: int) -> None:
        """See Shelf."""
        assert self._ring is not None, "the slot is one of its"
        self._picture.write(frame, self._ring.views(slot))

    def free(self, ring: int, slot: int) -> None:
        """See Shelf. What is said of an earlier ring has no meaning any more."""
        if self._ring is not None and ring == self.number:
            self._ring.release(slot)

    def use(self, masks: UseMasks) -> None:
        """See Shelf."""
        self._picture.use(masks.masks)

    def _lay_out(self, width: int, height: int) -> RingWriter:
        """A ring for pictures of this size, which the parent is told of. Raises SourceError."""
        try:
            layout = self._request.layout(width, height)
        except ValueError as error:
            raise SourceError(ErrorCode.UNSUPPORTED, f"pictures of {width}x{height}: {error}") from error
        if self._ring is None:
            self._ring = RingWriter(self._memory, layout)
        else:
            self._ring.lay_out(layout)
        self.number = self._ring.number
        self._channel.send(RingReady(number=self.number, width=width, height=height))
        return self._ring
