"""Where decoded frames are put for those who analyse them."""

from typing import Protocol

from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.messages import OpenRequest, RingReady, UseMasks
from videofleet_worker.decode.picture import PictureWriter
from videofleet_worker.decode.ring import RingLayout, RingWriter
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
    """Slots in memory that the parent reads. See Shelf."""

    def __init__(self, request: OpenRequest, channel: ParentChannel) -> None:
        self.number = -1
        self._request = request
        self._channel = channel
        self._picture = PictureWriter(request.model_width, request.model_height)
        self._ring: RingWriter | None = None

    def slot(self, frame: VideoFrame) -> int | None:
        """See Shelf."""
        if self._ring is not None and self._ring.layout.shows(frame.width, frame.height):
            return self._ring.acquire()
        if self._ring is not None:
            self._ring.close()
        try:
            layout = RingLayout(
                frame.width, frame.height, self._request.model_width, self._request.model_height, self._request.slots
            )
        except ValueError as error:
            raise SourceError(ErrorCode.UNSUPPORTED, f"pictures of {frame.width}x{frame.height}: {error}") from error
        self.number += 1
        self._ring = RingWriter(self.number, layout)
        self._channel.send(RingReady(number=self.number, width=frame.width, height=frame.height), fd=self._ring.fd)
        return self._ring.acquire()

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
