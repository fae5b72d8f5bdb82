"""Handing packets to the parent, which decodes them on its GPU: what may be handed over, and how."""

import mmap
from collections.abc import Iterator
from typing import Final

import av.error
from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.arrival import ArrivalClock
from videofleet_worker.decode.capture import CameraClock
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.direct import DirectView
from videofleet_worker.decode.ending import SourceEnd
from videofleet_worker.decode.messages import (
    Alive,
    Ended,
    HandOver,
    OpenRequest,
    PacketReady,
    PacketsTaken,
    ParentMessage,
    Progress,
    SlotsFree,
    UseMasks,
    WatchDirect,
)
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packetring import PacketWriter
from videofleet_worker.decode.packets import Arrived, Packets, raw_seconds
from videofleet_worker.sources.errors import SourceError

# Packets without a picture after which the source is left to this process.
_PATIENCE: Final = 300
_LAYOUTS: Final = frozenset({"yuv420p", "yuvj420p", "nv12"})


class Peeked:
    """Packets, some of which have been looked at already; they come again, in order."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self._following = iter(packets)
        self._seen: list[Arrived] = []

    def peek(self) -> Iterator[Arrived | None]:
        """Packets that will come again."""
        for arrived in self._following:
            if arrived is not None:
                self._seen.append(arrived)
            yield arrived

    def __iter__(self) -> Iterator[Arrived | None]:
        yield from self._seen
        self._seen.clear()
        yield from self._following

    def stop(self) -> bool:
        """End the reader; whether it has ended."""
        return self._packets.stop()


def fits_the_parent(request: OpenRequest, source: OpenSource, packets: Peeked, channel: ParentChannel) -> bool:
    """Whether the parent is to decode: by the first picture, which this process decodes to see what it is.

    What is turned, interlaced or not of 4:2:0, 8 bits and even sides stays here, and so does what this process can make
    no picture of: the parent gets no stream that has not been parsed here before.
    """
    if not request.packets or source.stream.codec_context.codec.canonical_name not in request.packets:
        return False
    first = _first_picture(source, packets, channel)
    source.stream.codec_context.flush_buffers()
    return first is not None and _is_plain(first, request.rotation)


def _is_plain(frame: VideoFrame, rotation: int | None) -> bool:
    turned = rotation if rotation is not None else round(frame.rotation)
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return even and not turned and not frame.interlaced_frame and frame.format.name in _LAYOUTS


def _first_picture(source: OpenSource, packets: Peeked, channel: ParentChannel) -> VideoFrame | None:
    for count, arrived in enumerate(packets.peek()):
        channel.send(
            Progress(received=int(arrived is not None), decoded=0, passed=0, seeks=0, strategy="all", dropped={})
        )
        if arrived is not None:
            try:
                frames = source.stream.codec_context.decode(arrived.packet)
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                frames = []
            if frames:
                return frames[0]
        if count == _PATIENCE:
            break
    return None


class PacketServing:
    """Hands over every packet of an open source, and says how it ended."""

    def __init__(
        self,
        request: OpenRequest,
        source: OpenSource,
        packets: Peeked,
        clock: ArrivalClock,
        camera: CameraClock,
        channel: ParentChannel,
        memory: mmap.mmap,
    ) -> None:
        """`memory`: where packets are handed over."""
        self._clock = clock
        self._camera = camera
        self._direct = DirectView(source.stream, channel.send)
        self._direct.mask(masked=bool(request.masks.masks))
        self._source = source
        self._packets = packets
        self._channel = channel
        self._end = SourceEnd(source)
        self._ring = PacketWriter(memory)

    def run(self) -> None:
        """Serve to the end. Raises SourceError, and ParentGone when the parent has closed the socket."""
        self._channel.send(_described(self._source))
        try:
            for arrived in self._packets:
                self._listen()
                if arrived is None:
                    self._channel.send(Alive())
                else:
                    self._hand_over(arrived)
        except av.error.FFmpegError as error:
            raise self._end.failure(error, self._end.packets) from None
        finally:
            if self._packets.stop():
                self._source.container.close()
        self._direct.end()
        self._end.check(self._end.packets, seen_any=self._end.packets > 0)
        self._channel.send(Ended())

    def _hand_over(self, arrived: Arrived) -> None:
        packet = arrived.packet
        self._end.note(packet)
        self._direct.take(packet)
        start = self._write(bytes(packet))
        self._channel.send(
            PacketReady(
                start=start,
                size=packet.size,
                pts=packet.pts,
                dts=packet.dts,
                keyframe=bool(packet.is_keyframe),
                arrival=self._sent_at(arrived),
                captured=self._camera.captured_at(raw_seconds(packet.pts, self._source.stream)),
                skipped=arrived.skipped,
            )
        )

    def _sent_at(self, arrived: Arrived) -> float:
        """When it left its source. The parent cannot tell how long it lay in a queue of this process or of the
        camera's."""
        if not self._source.info.live:
            return arrived.arrival
        return self._clock.taken_at(raw_seconds(arrived.packet.pts, self._source.stream))

    def _write(self, data: bytes) -> int:
        """Wait for room: a live source that comes faster grows old behind this, and goes on at its newest keyframe."""
        try:
            start = self._ring.write(data)
            while start is None:
                self._take(self._channel.wait())
                start = self._ring.write(data)
        except ValueError as error:
            raise SourceError(ErrorCode.UNSUPPORTED, str(error)) from None
        return start

    def _listen(self) -> None:
        for message in self._channel.poll():
            self._take(message)

    def _take(self, message: ParentMessage) -> None:
        match message:
            case PacketsTaken():
                self._ring.release(message.count)
            case WatchDirect():
                self._direct.watch(message.number)
            case UseMasks():
                # The parent burns them in. The packets show what is under them.
                self._direct.mask(masked=bool(message.masks))
            case SlotsFree():
                # The parent has slots of its own.
                pass


def _described(source: OpenSource) -> HandOver:
    context, base = source.stream.codec_context, source.stream.time_base
    if base is None:
        raise SourceError(ErrorCode.UNSUPPORTED, "the video has no time base")
    return HandOver(
        codec=context.codec.canonical_name,
        extradata=(context.extradata or b"").hex(),
        width=context.width,
        height=context.height,
        time_base=(base.numerator, base.denominator),
    )
