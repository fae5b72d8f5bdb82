"""From packets to numbered frames; damaged ones are counted and left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av.error
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from videofleet_worker.decode.choice import Choice, Judged
from videofleet_worker.decode.messages import Strategy
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
    """A frame, its number in the source, its raw timestamp in seconds, whether it needs no other frame, when its packet
    came, and what was said of it."""

    frame: VideoFrame
    index: int
    raw: float | None
    keyframe: bool
    arrival: float
    judged: Judged


@dataclass
class DecoderCounts:
    """Since they were taken last. passed: frames that were not decoded because nothing needs them."""

    decoded: int = 0
    passed: int = 0
    errors: int = 0


class FrameDecoder(Protocol):
    """Decodes one stream."""

    counts: DecoderCounts

    @property
    def next_index(self) -> int:
        """The number of the frame that is to come."""
        ...

    @property
    def strategy(self) -> Strategy:
        """What it does at the moment."""
        ...

    def skip(self, packets: int) -> None:
        """Count packets that were thrown away before they reached the decoder."""
        ...

    def decode(self, packet: VideoPacket | None, arrival: float) -> Iterator[Decoded]:
        """The frames that a packet completes; None: those still inside at the end."""
        ...


class Decoder:
    """Decodes every packet. The number of a frame counts what was demuxed, damaged and skipped packets included."""

    strategy: Strategy = "all"

    def __init__(self, stream: PacketStream, choice: Choice, counts: DecoderCounts | None = None) -> None:
        self.counts = counts or DecoderCounts()
        self.numbers = FrameNumbers()
        self._stream = stream
        self._choice = choice
        self._begun = False
        self._last_dts: int | None = None

    @property
    def next_index(self) -> int:
        """See FrameDecoder."""
        return self.numbers.next_index

    def skip(self, packets: int) -> None:
        """See FrameDecoder."""
        self.numbers.skipped(packets)

    def decode(self, packet: VideoPacket | None, arrival: float) -> Iterator[Decoded]:
        """See FrameDecoder."""
        if packet is not None and self.begins_anew(packet):
            yield from self.finish(arrival)
        for frame in self.frames(packet):
            yield from self.number(frame, arrival)
        if packet is None:
            self.counts.errors += self.numbers.ended()

    def begins_anew(self, packet: VideoPacket) -> bool:
        """Whether timestamps start over with this keyframe: what is still inside would be taken for what follows."""
        if not packet.is_keyframe or packet.dts is None or self._last_dts is None:
            return False
        return packet.dts < self._last_dts

    def finish(self, arrival: float) -> Iterator[Decoded]:
        """The frames still inside; the decoder begins anew with what follows, which is a keyframe."""
        for frame in self.drain():
            yield from self.number(frame, arrival)
        self.forget()

    def drain(self) -> list[VideoFrame]:
        """The frames still inside."""
        return decoded_frames(self._stream, None)

    def forget(self) -> None:
        """Begin anew; what has not come out by now is lost."""
        self._stream.codec_context.flush_buffers()
        lost = self.numbers.ended()
        self.counts.errors += lost if self._begun else 0
        self._last_dts = None

    def frames(self, packet: VideoPacket | None) -> list[VideoFrame]:
        """The frames that a packet completes."""
        if packet is not None:
            self._last_dts = packet.dts
            stamp = packet.dts if packet.pts is None else packet.pts
            self.counts.errors += self.numbers.received(raw_seconds(stamp, self._stream))
        return decoded_frames(self._stream, packet)

    def number(self, frame: VideoFrame, arrival: float) -> Iterator[Decoded]:
        """The frame with its number, unless it is damaged."""
        raw = raw_seconds(frame.pts, self._stream)
        index, lost = self.numbers.shown(raw)
        self.counts.decoded += 1
        # Those before the first picture a camera sent to others; and two fields, in a packet each, make one picture.
        if self._begun and not frame.interlaced_frame:
            self.counts.errors += lost
        self._begun = True
        if frame.is_corrupt:
            self.counts.errors += 1
            return
        key = bool(frame.key_frame)
        yield Decoded(frame, index, raw, key, arrival, self._choice.judge(index, raw, arrival, keyframe=key))


class KeyframeDecoder:
    """Decodes keyframes alone, those that are wanted, each at once: the others never reach the decoder.

    The decoder is drained after each. It would else hold the picture back until the next keyframes come, which for a
    camera is many seconds.
    """

    strategy: Strategy = "keyframes"

    def __init__(self, stream: PacketStream, choice: Choice, counts: DecoderCounts | None = None) -> None:
        self.counts = counts or DecoderCounts()
        self.next_index = 0
        self._stream = stream
        self._choice = choice

    def skip(self, packets: int) -> None:
        """See FrameDecoder."""
        self.next_index += packets

    def decode(self, packet: VideoPacket | None, arrival: float) -> Iterator[Decoded]:
        """The frame of a keyframe's packet, numbered by the packet; nothing for any other."""
        if packet is None:
            return
        index = self.next_index
        self.skip(1)
        raw = raw_seconds(packet.dts if packet.pts is None else packet.pts, self._stream)
        if not packet.is_keyframe:
            self.counts.passed += 1
            self._choice.pass_by(raw, arrival)
            return
        judged = self._choice.judge(index, raw, arrival, keyframe=True)
        if not judged.wanted:
            self.counts.passed += 1
            return
        frames = [*decoded_frames(self._stream, packet), *decoded_frames(self._stream, None)]
        self._stream.codec_context.flush_buffers()
        self.counts.decoded += len(frames)
        if not frames or frames[0].is_corrupt:
            self.counts.errors += 1
        else:
            yield Decoded(frames[0], index, raw, True, arrival, judged)


def decoded_frames(stream: PacketStream, packet: VideoPacket | None) -> list[VideoFrame]:
    """What the decoder makes of a packet; nothing where it cannot."""
    try:
        return stream.codec_context.decode(packet)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        # Counted when its turn to be shown has passed.
        return []
