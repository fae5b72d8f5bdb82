"""What a source delivers, whatever kind it is: frames in order, and what was lost on the way."""

import mmap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import av.error
from av.video.stream import VideoStream

from videofleet_api.codes import DropCause
from videofleet_worker.decode.arrival import ArrivalClock
from videofleet_worker.decode.capture import CameraClock
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.choice import Choice
from videofleet_worker.decode.decoder import Decoded, Decoder, FrameDecoder, KeyframeDecoder
from videofleet_worker.decode.ending import SourceEnd
from videofleet_worker.decode.fileindex import FileIndex
from videofleet_worker.decode.handover import PacketServing, Peeked, fits_the_parent
from videofleet_worker.decode.looks import Looks
from videofleet_worker.decode.messages import Opened, OpenRequest, Strategy
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import LivePackets, RecordedPackets, VideoPacket
from videofleet_worker.decode.sampling import DecodeWish
from videofleet_worker.decode.sparse import SparseDecoder
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.decode.upright import Upright


@dataclass
class Tally:
    """What happened since the parent was told last: packets that came and their bytes, frames that were decoded, frames
    that were passed over because nothing needs them, frames that were lost, and how often reading went on elsewhere."""

    received: int = 0
    bytes: int = 0
    decoded: int = 0
    passed: int = 0
    seeks: int = 0
    dropped: Counter[DropCause] = field(default_factory=Counter)


OnPacket = Callable[[VideoPacket], None]


class Footage(Protocol):
    """An open source. `stream`: what its packets belong to; None where it has none. `looks`: what the picture of a live
    one looks like; None where nobody asks."""

    info: Opened
    tally: Tally
    stream: VideoStream | None
    choice: Choice
    looks: Looks | None

    @property
    def strategy(self) -> Strategy:
        """What is decoded at the moment."""
        ...

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        """The frames that are wanted; None now and then, for the parent to be looked after.

        `on_packet` gets each packet before it is decoded.

        Raises SourceError where the source breaks, or ends as it should not.
        """
        ...

    def taken_at(self, decoded: Decoded) -> float:
        """The monotonic time at which a frame was taken, as far as that can be told from when it came."""
        ...

    def captured_at(self, decoded: Decoded) -> float | None:
        """The Unix time at which a frame was taken by the clock of its camera; None where that tells nothing."""
        ...

    def close(self) -> None:
        """Leave the source."""
        ...


class ContainerFootage:
    """Footage out of a container that FFmpeg has opened."""

    def __init__(self, source: OpenSource, threads: SpareThreads, request: OpenRequest) -> None:
        self.info = source.info
        self.tally = Tally()
        self.stream: VideoStream | None = source.stream
        self._source = source
        self.choice = Choice(request, source.info)
        self.looks = Looks() if source.info.live else None
        self._clock, self._camera = ArrivalClock(), CameraClock()
        live = source.info.live
        self._reader = LivePackets(source, self._clock, self._camera, threads) if live else RecordedPackets(source)
        self._packets = Peeked(self._reader)
        self._index = FileIndex(source)
        self._decoder = _decoder(source, self.choice, request.sampling_decode)
        self._upright = Upright(request.rotation)
        self._end = SourceEnd(source)
        self._seen_any = self._passed_any = self._lost_any = False

    @property
    def strategy(self) -> Strategy:
        """See Footage."""
        return self._decoder.strategy

    def for_parent(self, request: OpenRequest, channel: ParentChannel, memory: mmap.mmap) -> PacketServing | None:
        """What hands the packets to the parent instead, where it wants and can decode them. Before `frames`.

        `memory`: what else frames would be handed over in.
        """
        if not fits_the_parent(request, self._source, self._packets, channel):
            return None
        return PacketServing(request, self._source, self._packets, self._clock, self._camera, channel, memory)

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        """See Footage."""
        try:
            yield from self._decode(on_packet)
        except av.error.FFmpegError as error:
            raise self._end.failure(error, self._decoder.next_index) from None
        if not self.choice.over:
            nothing_wanted = self._passed_any and not self._lost_any
            self._end.check(self._decoder.next_index, seen_any=self._seen_any or nothing_wanted)

    def taken_at(self, decoded: Decoded) -> float:
        """See Footage."""
        return self._clock.taken_at(decoded.raw) if self.info.live else time.monotonic()

    def captured_at(self, decoded: Decoded) -> float | None:
        """See Footage."""
        return self._camera.captured_at(decoded.raw)

    def close(self) -> None:
        """Closing says goodbye to the camera, which else keeps the session among its few until a timeout."""
        if self._packets.stop():
            self._source.container.close()

    def _decode(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        for arrived in self._packets:
            yield None
            if arrived is None:
                continue
            if arrived.skipped:
                self._decoder.skip(arrived.skipped)
                self.tally.dropped[DropCause.STALE] += arrived.skipped
            self.tally.received += 1 + arrived.skipped
            self.tally.bytes += arrived.packet.size
            self._end.note(arrived.packet)
            on_packet(arrived.packet)
            for decoded in self._decoder.decode(arrived.packet, arrived.arrival):
                yield from self._seen(decoded)
            self._count()
            if self.choice.over:
                break
            self._go_where_it_is_due()
        for decoded in self._decoder.decode(None, time.monotonic()):
            yield from self._seen(decoded)
        yield from self._upright.flush()
        self._count()

    def _seen(self, decoded: Decoded) -> Iterator[Decoded]:
        self._seen_any = True
        look(self.looks, decoded)
        for turned in self._upright.turn(decoded):
            if turned.judged.wanted:
                yield turned

    def _go_where_it_is_due(self) -> None:
        """Have a file go on at the last keyframe before the next wanted frame, where that saves much reading."""
        decoder, packets, due = self._decoder, self._reader, self.choice.due()
        if due is None or not isinstance(decoder, SparseDecoder) or not isinstance(packets, RecordedPackets):
            return
        place = self._index.better_place(due, decoder.place, decoder.delay)
        if place is None:
            return
        came_from = decoder.place
        decoder.settle()
        there = packets.go(lambda rest: self._index.go(place, came_from, due, rest))
        if there != came_from:
            self.tally.seeks += 1
            self._end.passed(there - came_from)
            self.choice.pass_over(there - came_from)
            decoder.skip(there - came_from)

    def _count(self) -> None:
        counts = self._decoder.counts
        self.tally.decoded += counts.decoded
        self.tally.passed += counts.passed
        self.tally.dropped[DropCause.DECODE_ERROR] += counts.errors
        self._passed_any, self._lost_any = self._passed_any or counts.passed > 0, self._lost_any or counts.errors > 0
        counts.decoded = counts.passed = counts.errors = 0


def look(looks: Looks | None, decoded: Decoded) -> None:
    """Look at a frame if it tells something: keyframes are compared, and wanted ones say whether something moves."""
    if looks is not None and (decoded.judged.wanted or decoded.keyframe):
        after_keyframe = decoded.judged.after_keyframe
        looks.see(decoded.frame, decoded.arrival, keyframe=decoded.keyframe, after_keyframe=after_keyframe)


def _decoder(source: OpenSource, choice: Choice, wish: DecodeWish) -> FrameDecoder:
    """How it is decoded: as little as possible, unless a job asks for all or there is nothing to leave out."""
    if source.info.live and choice.keyframes_only:
        return KeyframeDecoder(source.stream, choice)
    if wish == "all" or choice.takes_everything:
        return Decoder(source.stream, choice)
    return SparseDecoder(source.stream, choice, live=source.info.live)
