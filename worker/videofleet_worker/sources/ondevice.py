"""Decoding in this process, on its GPU, of packets that a confined child has demuxed and parsed."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import av.error
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from videofleet_api.codes import DropCause, ErrorCode
from videofleet_worker.decode.arrival import ArrivalClock
from videofleet_worker.decode.capture import CameraClock
from videofleet_worker.decode.channel import ParentGone
from videofleet_worker.decode.choice import Choice
from videofleet_worker.decode.decoder import Decoded, Decoder, KeyframeDecoder
from videofleet_worker.decode.ending import nothing_decoded
from videofleet_worker.decode.footage import OnPacket, Tally, look
from videofleet_worker.decode.looks import Looks
from videofleet_worker.decode.messages import (
    Failed,
    HandOver,
    Message,
    Opened,
    OpenRequest,
    PacketReady,
    ParentMessage,
    Strategy,
)
from videofleet_worker.decode.packetring import PacketReader
from videofleet_worker.decode.packets import VideoPacket
from videofleet_worker.decode.ring import MAX_SIDE
from videofleet_worker.decode.serving import Serving
from videofleet_worker.device.device import Device
from videofleet_worker.device.jpeg import PictureEncoder
from videofleet_worker.device.shelf import DeviceRing, DeviceShelf
from videofleet_worker.sources.errors import SourceError

# How long the decoder waits for a packet before it looks after what it is told.
_POLL: Final = 0.2
_PATIENCE: Final = 5.0
# Packets from a keyframe on after which a decoder that has made no picture is taken to be unable to. What NVDEC refuses
# shows only as errors of packets; reordering holds back 16 at the most, and nothing of keyframes alone.
_FRUITLESS: Final = 32
_FRUITLESS_KEYFRAMES: Final = 4


@dataclass(frozen=True)
class DecodeStation:
    """Where packets are decoded: the device that frames stay on, FFmpeg's way to its decoder, what that takes, and what
    makes JPEG of the frames there.

    Without `accelerator` FFmpeg decodes on the processor. `on_failure` hears, in any thread, of what nobody foresaw.
    """

    device: Device
    accelerator: HWAccel | None
    codecs: tuple[str, ...] = ("h264", "hevc", "vp9")
    encoder: PictureEncoder | None = None
    on_failure: Callable[[Exception], None] = lambda error: None

    def open(self, handed: HandOver) -> "PacketDecoder":
        """A decoder for a stream. Raises SourceError."""
        try:
            context = cast(VideoCodecContext, CodecContext.create(handed.codec, "r", self.accelerator))
        except (av.error.FFmpegError, RuntimeError, NotImplementedError) as error:
            raise SourceError(ErrorCode.CODEC, f"the GPU has no decoder for {handed.codec}: {error}") from error
        if self.accelerator is not None and not context.is_hwaccel:
            # PyAV then takes FFmpeg's own decoder, without a word.
            raise SourceError(ErrorCode.CODEC, f"this FFmpeg has no decoder on a GPU for {handed.codec}")
        if handed.extradata:
            context.extradata = bytes.fromhex(handed.extradata)
        context.width, context.height = handed.width, handed.height
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}
        return PacketDecoder(context, Fraction(*handed.time_base))


def station_on(
    device: Device,
    on_failure: Callable[[Exception], None] = lambda error: None,
    encoder: PictureEncoder | None = None,
) -> DecodeStation:
    """Where a GPU decodes: in the context that models run in, and with no way back to the processor, since a
    stranger's stream is decoded there in confined children alone."""
    accelerator = HWAccel(device.kind, str(device.number), allow_software_fallback=False, is_hw_owned=True)
    return DecodeStation(device, accelerator, on_failure=on_failure, encoder=encoder)


@dataclass(frozen=True)
class PacketDecoder:
    """Takes packets and gives frames, those of a GPU on the device. See decode.decoder.PacketStream."""

    codec_context: VideoCodecContext
    time_base: Fraction


@dataclass(frozen=True)
class Says:
    """Who hears of the decoding, on the event loop: `message` gets what a child would send, `ring` each ring of slots
    before a frame lies in it; `used`: a packet was taken, and there is room for another."""

    message: Callable[[Message], None]
    ring: Callable[[DeviceRing], None]
    used: Callable[[], None]


class DeviceDecoding:
    """A thread that decodes one stream. All other methods are for the event loop of the session that it belongs to."""

    def __init__(
        self,
        request: OpenRequest,
        info: Opened,
        handed: HandOver,
        station: DecodeStation,
        reader: PacketReader,
        says: Says,
    ) -> None:
        self.info = info
        self._request = request
        self._handed = handed
        self._station = station
        self._reader = reader
        self._says = says
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._packets: deque[tuple[PacketReady, bytes]] = deque()
        self._said: deque[ParentMessage] = deque()
        self._end: SourceError | None = None
        self._ended = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    def put(self, described: PacketReady) -> None:
        """Another packet. Raises ValueError for one that cannot be there."""
        data = self._reader.read(described.start, described.size)
        with self._changed:
            self._packets.append((described, data))
            self._changed.notify()

    def say(self, message: ParentMessage) -> None:
        """What a child would be told."""
        with self._changed:
            self._said.append(message)
            self._changed.notify()

    def end(self, failure: SourceError | None) -> None:
        """No packet follows: the source has ended, or failed. The frames of those before still come."""
        with self._changed:
            self._ended, self._end = True, failure
            self._changed.notify()

    async def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        # A GPU that hangs must not hold up the end of a stream.
        await asyncio.to_thread(self._thread.join, _PATIENCE)
        # The session is in cycles: memory must not wait for a collector.
        self._reader.close()
        self._packets.clear()

    # In the thread

    def _run(self) -> None:
        try:
            shelf = DeviceShelf(self._station.device, self._request.slots, self._announce, self._station.encoder)
            footage = PacketFootage(self, self._station.open(self._handed), self._request)
            Serving(self._request, footage, self, shelf).run()
        except ParentGone:
            return
        except SourceError as error:
            self.send(Failed(code=error.code, message=error.message[:1000]))
        except Exception as error:  # noqa: BLE001  the last stop of the thread: the session has to hear of it
            self._station.on_failure(error)
            message = f"decoding on the GPU failed ({type(error).__name__}: {error})"
            self.send(Failed(code=ErrorCode.INTERNAL, message=message[:1000]))

    def _announce(self, ring: DeviceRing) -> None:
        self._call(lambda: self._says.ring(ring))

    def _call(self, what: Callable[[], None]) -> None:
        if not self._stopped:
            self._loop.call_soon_threadsafe(lambda: None if self._stopped else what())

    def next_packet(self, timeout: float) -> tuple[PacketReady, bytes] | None:
        """The next packet; None after `timeout` seconds, or where none follows."""
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._ended or self._stopped or self._said, timeout)
            if self._stopped:
                raise ParentGone
            if not self._packets:
                return None
            packet = self._packets.popleft()
        self._call(self._used)
        return packet

    def _used(self) -> None:
        self._reader.release()
        self._says.used()

    @property
    def over(self) -> bool:
        """Whether no packet follows any more."""
        with self._changed:
            return self._ended and not self._packets

    @property
    def ending(self) -> bool:
        """Whether it was told that no packet follows; it ends by itself then."""
        return self._ended

    @property
    def failure(self) -> SourceError | None:
        """What ended the source."""
        return self._end

    def send(self, message: Message, data: bytes = b"") -> None:
        """See serving.Channel. No message from here has bytes that follow it: the child shows packets to viewers."""
        if self._stopped:
            raise ParentGone
        self._call(lambda: self._says.message(message))

    def wait(self) -> ParentMessage:
        """See serving.Channel."""
        with self._changed:
            self._changed.wait_for(lambda: self._said or self._stopped)
            if self._stopped:
                raise ParentGone
            return self._said.popleft()

    def poll(self) -> list[ParentMessage]:
        """See serving.Channel."""
        with self._changed:
            if self._stopped:
                raise ParentGone
            said, self._said = list(self._said), deque()
        return said


class PacketFootage:
    """Footage out of packets. See decode.footage.Footage."""

    def __init__(self, source: DeviceDecoding, decoder: PacketDecoder, request: OpenRequest) -> None:
        self.info = source.info
        self.tally = Tally()
        self.stream: VideoStream | None = None
        self.choice = Choice(request, source.info)
        self.looks = Looks() if source.info.live else None
        self._source = source
        self._time_base = decoder.time_base
        self._clock, self._camera = ArrivalClock(), CameraClock()
        self._decoder = (KeyframeDecoder if self.choice.keyframes_only else Decoder)(decoder, self.choice)
        self._received = 0
        self._seen_any = False
        self._makes_any = False
        self._fruitless = 0

    @property
    def strategy(self) -> Strategy:
        """See Footage."""
        return self._decoder.strategy

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        """See Footage. The child that reads them shows packets to those who watch."""
        while not self._source.over:
            yield None
            arrived = self._source.next_packet(_POLL)
            if arrived is not None:
                yield from self._decode(*arrived)
            if self.choice.over:
                return
        yield from self._wanted(self._decoder.decode(None, time.monotonic()))
        self._count()
        if self._source.failure is not None:
            raise self._source.failure
        if not self._seen_any:
            raise nothing_decoded(self._received)

    def taken_at(self, decoded: Decoded) -> float:
        """See Footage."""
        return self._clock.taken_at(decoded.raw) if self.info.live else time.monotonic()

    def captured_at(self, decoded: Decoded) -> float | None:
        """See Footage."""
        return self._camera.captured_at(decoded.raw)

    def close(self) -> None:
        """See Footage. The child leaves the source."""

    def _decode(self, described: PacketReady, data: bytes) -> Iterator[Decoded]:
        if described.skipped:
            self._decoder.skip(described.skipped)
            self.tally.dropped[DropCause.STALE] += described.skipped
        self._received += 1
        self.tally.received += 1 + described.skipped
        self.tally.bytes += described.size
        packet = self._packet(described, data)
        raw = None if packet.pts is None else float(packet.pts * self._time_base)
        self._clock.observe(raw, described.arrival)
        self._camera.observe(raw, described.captured)
        yield from self._wanted(self._decoder.decode(packet, described.arrival))
        self._check(described)
        self._count()

    def _check(self, described: PacketReady) -> None:
        """Raises SourceError for a stream that its decoder makes nothing of. The child has made a picture of it."""
        counts = self._decoder.counts
        self._makes_any = self._makes_any or counts.decoded > 0
        if self._makes_any or counts.passed or not (described.keyframe or self._fruitless):
            return
        self._fruitless += 1
        if self._fruitless >= (_FRUITLESS_KEYFRAMES if self.choice.keyframes_only else _FRUITLESS):
            message = f"the decoder on the GPU made no picture of {self._fruitless} packets"
            raise SourceError(ErrorCode.CODEC, message)

    def _packet(self, described: PacketReady, data: bytes) -> VideoPacket:
        packet = cast(VideoPacket, Packet(data))
        packet.pts, packet.dts, packet.time_base = described.pts, described.dts, self._time_base
        packet.is_keyframe = described.keyframe
        return packet

    def _wanted(self, frames: Iterator[Decoded]) -> Iterator[Decoded]:
        for decoded in frames:
            self._seen_any = True
            look(self.looks, decoded)
            if decoded.judged.wanted:
                yield decoded

    def _count(self) -> None:
        counts = self._decoder.counts
        self.tally.decoded += counts.decoded
        self.tally.passed += counts.passed
        self.tally.dropped[DropCause.DECODE_ERROR] += counts.errors
        counts.decoded = counts.passed = counts.errors = 0
