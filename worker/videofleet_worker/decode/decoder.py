"""From packets to numbered frames; damaged ones are counted and left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av.error
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from videofleet_worker.decode.numbering import FrameNumbers
from videofleet_worker.decode.packets import VideoPacket, raw_seconds


class PacketStream(Protocol):
    """What decodes a stream's packets, and by what their stamps count."""

    @property
    def codec_context(self) -> VideoCodecContext: ...

    @property
    def time_base(self) -> Fraction | None: ...


@dataclass(frozen=True)
class Decoded:
    """A frame, its number in the source, its raw timestamp in seconds, and whether it needs no other frame."""

    frame: VideoFrame
    index: int
    raw: float | None
    keyframe: bool


class Decoder:
    """Decodes every packet. The number of a frame counts what was demuxed, damaged and skipped packets included."""

    def __init__(self, stream: PacketStream) -> None:
        self._stream = stream
        self._numbers = FrameNumbers()
        self._begun = False
        self.errors = 0

    @property
    def next_index(self) -> int:
        """The number of the frame that is to come."""
        return self._numbers.next_index

    def skip(self, packets: int) -> None:
        """Count packets that were thrown away before they reached the decoder."""
        self._numbers.skipped(packets)

    def decode(self, packet: VideoPacket | None) -> Iterator[Decoded]:
        """The frames that a packet completes; None: those still inside at the end."""
        if packet is not None:
            stamp = packet.dts if packet.pts is None else packet.pts
            self.errors += self._numbers.received(raw_seconds(stamp, self._stream))
        for frame in self._frames(packet):
            yield from self._number(frame)
        if packet is None:
            self.errors += self._numbers.ended()

    def _frames(self, packet: VideoPacket | None) -> list[VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            # Counted when its turn to be shown has passed.
            return []

    def _number(self, frame: VideoFrame) -> Iterator[Decoded]:
        raw = raw_seconds(frame.pts, self._stream)
        index, lost = self._numbers.shown(raw)
        # Those before the first picture a camera sent to others; and two fields, in a packet each, make one picture.
        if self._begun and not frame.interlaced_frame:
            self.errors += lost
        self._begun = True
        if frame.is_corrupt:
            self.errors += 1
        else:
            yield Decoded(frame, index, raw, bool(frame.key_frame))


class KeyframeDecoder(Decoder):
    """Decodes keyframes alone, each at once: the others never reach the decoder.

    The decoder is drained after each. It would else hold the picture back until the next keyframes come, which for a
    camera is many seconds.
    """

    def decode(self, packet: VideoPacket | None) -> Iterator[Decoded]:
        """The frame of a keyframe's packet, numbered by the packet; nothing for any other."""
        if packet is None:
            return
        index = self.next_index
        self.skip(1)
        if not packet.is_keyframe:
            return
        frames = [*self._frames(packet), *self._frames(None)]
        self._stream.codec_context.flush_buffers()
        if not frames or frames[0].is_corrupt:
            self.errors += 1
        else:
            yield Decoded(frames[0], index, raw_seconds(frames[0].pts, self._stream), True)
