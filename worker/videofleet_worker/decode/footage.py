"""What a source delivers, whatever kind it is: frames in order, and what was lost on the way."""

import mmap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import av.error
from av.video.stream import VideoStream

from videofleet_worker.decode.arrival import ArrivalClock
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.decoder import Decoded, Decoder, KeyframeDecoder
from videofleet_worker.decode.ending import SourceEnd
from videofleet_worker.decode.handover import PacketServing, Peeked, fits_the_parent
from videofleet_worker.decode.messages import DropCause, Opened, OpenRequest
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import LivePackets, RecordedPackets, VideoPacket
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.decode.upright import Upright


@dataclass
class Tally:
    """What happened since the parent was told last: packets that came and their bytes, frames that were lost."""

    received: int = 0
    bytes: int = 0
    dropped: Counter[DropCause] = field(default_factory=Counter)


OnPacket = Callable[[VideoPacket], None]


class Footage(Protocol):
    """An open source. `stream`: what its packets belong to; None where it has none."""

    info: Opened
    tally: Tally
    stream: VideoStream | None

    def frames(self, on_packet: OnPacket) -> Iterator[tuple[Decoded, float] | None]:
        """Frames with their monotonic arrival; None now and then, for the parent to be looked after.

        `on_packet` gets each packet before it is decoded.

        Raises SourceError where the source breaks, or ends as it should not.
        """
        ...

    def taken_at(self, decoded: Decoded) -> float:
        """The monotonic time at which a frame was taken."""
        ...

    def close(self) -> None:
        """Leave the source."""
        ...


class ContainerFootage:
    """Footage out of a container that FFmpeg has opened."""

    def __init__(
        self, source: OpenSource, threads: SpareThreads, *, keyframes_only: bool, rotation: int | None
    ) -> None:
        self.info = source.info
        self.tally = Tally()
        self.stream: VideoStream | None = source.stream
        self._source = source
        self._clock = ArrivalClock()
        self._packets = Peeked(
            LivePackets(source, self._clock, threads) if source.info.live else RecordedPackets(source)
        )
        self._decoder = (KeyframeDecoder if keyframes_only else Decoder)(source.stream)
        self._upright = Upright(rotation)
        self._end = SourceEnd(source)
        self._seen_any = False

    def for_parent(self, request: OpenRequest, channel: ParentChannel, memory: mmap.mmap) -> PacketServing | None:
        """What hands the packets to the parent instead, where it wants and can decode them. Before `frames`.

        `memory`: what else frames would be handed over in.
        """
        if not fits_the_parent(request, self._source, self._packets, channel):
            return None
        return PacketServing(request, self._source, self._packets, self._clock, channel, memory)

    def frames(self, on_packet: OnPacket) -> Iterator[tuple[Decoded, float] | None]:
        """See Footage."""
        try:
            yield from self._decode(on_packet)
        except av.error.FFmpegError as error:
            raise self._end.failure(error, self._decoder.next_index) from None
        self._end.check(self._decoder.next_index, seen_any=self._seen_any)

    def taken_at(self, decoded: Decoded) -> float:
        """See Footage."""
        return self._clock.taken_at(decoded.raw) if self.info.live else time.monotonic()

    def close(self) -> None:
        """Closing says goodbye to the camera, which else keeps the session among its few until a timeout."""
        if self._packets.stop():
            self._source.container.close()

    def _decode(self, on_packet: OnPacket) -> Iterator[tuple[Decoded, float] | None]:
        for arrived in self._packets:
            yield None
            if arrived is None:
                continue
            if arrived.skipped:
                self._decoder.skip(arrived.skipped)
                self.tally.dropped["stale"] += arrived.skipped
            self.tally.received += 1 + arrived.skipped
            self.tally.bytes += arrived.packet.size
            self._end.note(arrived.packet)
            on_packet(arrived.packet)
            for decoded in self._decoder.decode(arrived.packet):
                yield from self._seen(decoded, arrived.arrival)
            self._count_errors()
        for decoded in self._decoder.decode(None):
            yield from self._seen(decoded, time.monotonic())
        yield from self._upright.flush()
        self._count_errors()

    def _seen(self, decoded: Decoded, arrival: float) -> Iterator[tuple[Decoded, float]]:
        self._seen_any = True
        yield from self._upright.turn(decoded, arrival)

    def _count_errors(self) -> None:
        self.tally.dropped["decode_error"] += self._decoder.errors
        self._decoder.errors = 0
