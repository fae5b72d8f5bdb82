"""The child's side of the direct view: its packets to the parent as they are, while somebody watches."""

from collections.abc import Callable
from typing import Final

import av.error
from av.video.stream import VideoStream

from videofleet_worker.decode.messages import MAX_PIECE, DirectBegins, DirectPiece, Message
from videofleet_worker.decode.packets import VideoPacket
from videofleet_worker.decode.remux import Fragment, Remux

_JPEG: Final = "mjpeg"
_H264: Final = "h264"
DIRECT_CODECS: Final = (_H264, _JPEG)
"""Codecs whose packets can be watched."""

Send = Callable[[Message, bytes], None]
"""A message, and the bytes that follow it."""


class DirectView:
    """Remuxes once for all who watch. With privacy masks nothing leaves: packets show what is under them."""

    def __init__(self, stream: VideoStream | None, send: Send) -> None:
        """`stream`: None for a source that has no packets."""
        self._stream = stream
        self._send = send
        self._codec = stream.codec_context.name if stream is not None else ""
        self._extradata = (stream.codec_context.extradata or b"") if stream is not None else b""
        self._masked = False
        self._watch = 0
        self._remux: Remux | None = None
        self._begun = False

    def watch(self, number: int) -> None:
        """Hand packets over from the next keyframe on, under this number; 0: nobody watches any more."""
        self._watch = number if self._codec in DIRECT_CODECS and not self._masked else 0
        self._begun, self._remux = False, None

    def mask(self, *, masked: bool) -> None:
        """Whether there are privacy masks from now on."""
        self._masked = masked
        if masked:
            self.watch(0)

    def take(self, packet: VideoPacket) -> None:
        """A packet that goes to the decoder."""
        if packet.has_sidedata("new_extradata"):
            self._extradata = bytes(packet.get_sidedata("new_extradata"))
        if not self._watch:
            return
        if self._codec == _JPEG:
            self._take_jpeg(packet)
            return
        try:
            self._take_h264(packet)
        except (av.error.FFmpegError, ValueError):
            # Damaged on the way. The next keyframe begins anew.
            self._remux = None

    def end(self) -> None:
        """Hand over what is still held back."""
        if self._remux is not None:
            self._piece(self._remux.end())

    def _take_jpeg(self, packet: VideoPacket) -> None:
        if not self._begun:
            self._begins("image/jpeg", b"")
        self._piece(Fragment(bytes(packet), keyframe=True))

    def _take_h264(self, packet: VideoPacket) -> None:
        if self._remux is not None and not self._remux.holds_for(self._extradata, packet):
            self.end()
            self._remux = None
        if self._remux is not None:
            self._piece(self._remux.add(packet))
        elif packet.is_keyframe and self._stream is not None:
            self._remux = Remux(self._stream, self._extradata, packet)
            self._begins(self._remux.mime, self._remux.head)

    def _begins(self, mime: str, head: bytes) -> None:
        self._begun = True
        self._send(DirectBegins(watch=self._watch, size=len(head), mime=mime), head)

    def _piece(self, fragment: Fragment) -> None:
        if 0 < len(fragment.data) <= MAX_PIECE:
            data = fragment.data
            self._send(DirectPiece(watch=self._watch, size=len(data), keyframe=fragment.keyframe), data)
        else:
            # What follows needs it.
            self._remux = None
