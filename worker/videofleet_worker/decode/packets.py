"""Packets of the video stream: pulled in order from recorded sources, drained by a thread from live ones."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from videofleet_worker.decode.arrival import ArrivalClock, Pacer
from videofleet_worker.decode.capture import CameraClock, captured_of
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.threads import Done, SpareThreads

# A decoder this far behind the camera (seconds) goes on at the newest keyframe instead of catching up.
_SKIP_BEHIND = 1.0
# What may wait for the decoder, so that a slow one cannot fill the memory.
_MAX_WAITING = 1000
_MAX_WAITING_BYTES = 32 * 1024 * 1024
# What has piled up while the source was opened comes at once. It is over when packets come at their own pace, or when
# none comes for this many seconds ...
_SETTLED = 0.3
# ... and decoding waits for that at most so long.
_SETTLE_AT_MOST = 1.0
# How long the decoder waits for a packet before it looks after the parent again.
_POLL = 0.2

if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]
else:
    # Generic in its stubs only.
    VideoPacket = Packet


@dataclass(frozen=True)
class Arrived:
    """A packet and its monotonic arrival time; `skipped` packets before it were thrown away."""

    packet: VideoPacket
    arrival: float
    skipped: int = 0


class Packets(Protocol):
    """The packets of a source; None where none came for a moment."""

    def __iter__(self) -> Iterator[Arrived | None]: ...

    def stop(self) -> bool:
        """End reading; whether nobody uses the container any more."""
        ...


class RecordedPackets:
    """Packets as the consumer asks for them. Iterating raises av.error.FFmpegError where the source breaks."""

    def __init__(self, source: OpenSource) -> None:
        self._packets = source.container.demux(source.stream)
        self._next: VideoPacket | None = None

    def __iter__(self) -> Iterator[Arrived]:
        for packet in self._rest():
            if packet.size:
                yield Arrived(packet, time.monotonic())

    def go(self, move: Callable[[Iterator[VideoPacket]], tuple[int, VideoPacket]]) -> int:
        """Have reading go on elsewhere: `move` gets the packets and returns the new place, as this does, and the one
        that is there."""
        place, self._next = move(self._packets)
        return place

    def _rest(self) -> Iterator[VideoPacket]:
        for packet in self._packets:
            yield packet
            while self._next is not None:
                packet, self._next = self._next, None
                yield packet

    def stop(self) -> bool:
        """Nothing to stop; True: the container may be closed."""
        return True


class LivePackets:
    """A thread that reads as fast as the source sends, so that the socket never fills up behind a slow decoder.

    Iterating yields None when nothing came for a moment.
    """

    def __init__(self, source: OpenSource, clock: ArrivalClock, camera: CameraClock, threads: SpareThreads) -> None:
        self._source = source
        self._clock = clock
        self._camera = camera
        self._threads = threads
        self._pacer = Pacer(time.sleep) if source.pulled else None
        self._backlog = Backlog()
        self._stopping = threading.Event()
        self._reading: Done | None = None

    def __iter__(self) -> Iterator[Arrived | None]:
        self._reading = self._threads.start(self._read)
        # The age of what piled up is known only when the first packet has come that did not wait.
        self._backlog.settle(_SETTLED, _SETTLE_AT_MOST)
        while True:
            arrived, finished = self._backlog.take(time.monotonic(), _POLL)
            if arrived is None and finished:
                self._backlog.raise_failure()
                return
            yield arrived

    def stop(self) -> bool:
        """End the reader; whether it has ended, so that nobody uses the container any more."""
        self._stopping.set()
        return self._reading is None or self._reading.wait(0.5)

    def _read(self) -> None:
        failure: av.error.FFmpegError | None = None
        try:
            for packet in self._source.container.demux(self._source.stream):
                if self._stopping.is_set():
                    break
                if packet.size:
                    self._note(packet)
        except av.error.FFmpegError as error:
            failure = error
        self._backlog.finish(failure)

    def _note(self, packet: VideoPacket) -> None:
        raw = raw_seconds(packet.pts, self._source.stream)
        arrival = time.monotonic()
        if self._pacer is not None:
            arrival = self._pacer.wait(raw, arrival)
        else:
            self._camera.observe(raw, captured_of(packet))
        self._clock.observe(raw, arrival)
        self._backlog.put(packet, arrival, steady=self._clock.steady)


class Backlog:
    """What has been read and not yet decoded. When it grows too old, everything up to the newest keyframe goes."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[Arrived] = deque()
        self._bytes = 0
        self._skipped = 0
        self._until_keyframe = False
        self._steady = False
        self._finished = False
        self._failure: av.error.FFmpegError | None = None

    def put(self, packet: VideoPacket, arrival: float, *, steady: bool) -> None:
        """Add a packet; called by the reader. `steady`: it came at its own pace after the one before."""
        with self._condition:
            self._steady = self._steady or steady
            if self._until_keyframe and not packet.is_keyframe:
                self._skipped += 1
                return
            self._until_keyframe = False
            if len(self._waiting) >= _MAX_WAITING or self._bytes >= _MAX_WAITING_BYTES:
                self._overflow(packet)
                return
            self._waiting.append(Arrived(packet, arrival))
            self._bytes += packet.size
            self._condition.notify()

    def take(self, now: float, timeout: float) -> tuple[Arrived | None, bool]:
        """The next packet or None after `timeout` seconds, and whether the reader has ended."""
        with self._condition:
            if not self._waiting and not self._finished:
                self._condition.wait(timeout)
            if not self._waiting:
                return None, self._finished
            self._skip_to_newest_keyframe(now)
            first = self._waiting.popleft()
            self._bytes -= first.packet.size
            skipped, self._skipped = self._skipped, 0
            return Arrived(first.packet, first.arrival, skipped), self._finished

    def settle(self, pause: float, at_most: float) -> None:
        """Wait until packets come steadily, or none for `pause` seconds; `at_most` seconds in all."""
        deadline = time.monotonic() + at_most
        with self._condition:
            while not (self._steady or self._finished) and time.monotonic() < deadline:
                if not self._condition.wait(pause) and self._waiting:
                    return

    def finish(self, failure: av.error.FFmpegError | None) -> None:
        """The reader has ended, by an error or (None) by the end of the stream."""
        with self._condition:
            self._finished, self._failure = True, failure
            self._condition.notify()

    def raise_failure(self) -> None:
        """Raise what ended the reader, if it was an error."""
        if self._failure is not None:
            raise self._failure

    def _overflow(self, packet: VideoPacket) -> None:
        self._skipped += len(self._waiting) + 1
        self._waiting.clear()
        self._bytes = 0
        self._until_keyframe = True

    def _skip_to_newest_keyframe(self, now: float) -> None:
        if now - self._waiting[0].arrival < _SKIP_BEHIND:
            return
        newest = max((i for i, arrived in enumerate(self._waiting) if arrived.packet.is_keyframe), default=0)
        for _ in range(newest):
            self._bytes -= self._waiting.popleft().packet.size
        self._skipped += newest


class Timed(Protocol):
    """What has stamps."""

    @property
    def time_base(self) -> Fraction | None: ...


def raw_seconds(pts: int | None, stream: Timed) -> float | None:
    """A timestamp of the stream in seconds."""
    if pts is None:
        return None
    base = stream.time_base
    # The same float as of their product, without a fraction made for it: it is asked for several times a frame.
    return None if base is None else pts * base.numerator / base.denominator
