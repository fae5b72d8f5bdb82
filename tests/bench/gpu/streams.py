"""How many streams are held: each comes at its rate, is decoded, detected and tracked by the worker's own code.

Left out are the children that read sources, the archive and what goes out: the figure is that of the device's part.
"""

from __future__ import annotations

import asyncio
import mmap
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from tests.bench.control.rows import percentile
from tests.bench.gpu.agreement import QUERY, whole
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.footage import Footage
from videofleet_worker.decode.messages import (
    Failed,
    FrameReady,
    Message,
    OpenRequest,
    PacketReady,
    SlotsFree,
)
from videofleet_worker.decode.packetring import RING_BYTES, PacketReader, PacketWriter
from videofleet_worker.device.shelf import DeviceRing
from videofleet_worker.models.batching import InferenceEngine
from videofleet_worker.models.detections import DetectionQuery, Detections
from videofleet_worker.sources.ondevice import DeviceDecoding, Says
from videofleet_worker.tracking.bytetrack import ByteTracker

LATEST = 0.150
"""Seconds from the arrival of a frame to its tracked objects, of 95 of 100 frames."""
LEAST_SHARE = 0.98
"""Of the frames that came, so many must be analysed."""
WARM_UP = 3.0
LINGER = 2.0
"""Seconds that streams go on after those that are measured, so that the last frames get their answer too."""
_SLOTS = 6


@dataclass
class Trial:
    """So many streams for some seconds. Times are from a frame's arrival to its tracked objects."""

    streams: int
    latest: float = LATEST
    offered: int = 0
    times: list[float] = field(default_factory=list)
    occupancy: float = 0.0
    failure: str = ""

    @property
    def p95(self) -> float:
        """Seconds; without end where nothing was analysed."""
        return percentile(self.times, 0.95) if self.times else float("inf")

    @property
    def share(self) -> float:
        """Of the frames that came, those analysed."""
        return len(self.times) / self.offered if self.offered else 0.0

    @property
    def held(self) -> bool:
        """Whether the worker kept up."""
        return not self.failure and self.p95 < self.latest and self.share >= LEAST_SHARE


async def hold(bench: Bench, footage: Footage, trial: Trial, seconds: float) -> Trial:
    """Let the trial's streams come; the trial, filled in."""
    engine: InferenceEngine[DetectionQuery, Detections] = InferenceEngine(bench.detector)
    begin = time.monotonic() + 0.2
    measured = begin + WARM_UP, begin + WARM_UP + seconds
    # Spread over a frame's time, as cameras are.
    cameras = [
        _Camera(bench, footage, engine, trial, measured, begin + number / trial.streams / footage.rate)
        for number in range(trial.streams)
    ]
    try:
        sampled = asyncio.create_task(_occupancy(engine, measured, trial))
        await asyncio.gather(*(camera.run(measured[1] + LINGER) for camera in cameras))
        await sampled
    finally:
        await asyncio.gather(*(camera.close() for camera in cameras))
        await engine.close()
    return trial


async def most(attempt: Callable[[int], Awaitable[Trial]], bound: int) -> Trial:
    """The trial with the most streams that are held, at most `bound`, to a twentieth; that of one stream where not even
    that one is."""
    best, held, beyond = Trial(0), 0, bound + 1
    number = max(1, bound // 4)
    while beyond - held > max(1, held // 20):
        trial = await attempt(number)
        if trial.held:
            best, held = trial, number
        else:
            beyond = number
        if beyond == 1:
            return trial
        number = min(2 * held, (held + beyond) // 2) if held else max(1, beyond // 4)
    return best


async def _occupancy(
    engine: InferenceEngine[DetectionQuery, Detections], measured: tuple[float, float], trial: Trial
) -> None:
    await asyncio.sleep(max(0.0, measured[0] - time.monotonic()))
    images, room = engine.counters.images, engine.counters.room
    await asyncio.sleep(max(0.0, measured[1] - time.monotonic()))
    taken = engine.counters.room - room
    trial.occupancy = (engine.counters.images - images) / taken if taken else 0.0


class _Camera:
    """One stream: its packets come when they are due, its newest frame goes to the model, the objects to a tracker."""

    def __init__(
        self,
        bench: Bench,
        footage: Footage,
        engine: InferenceEngine[DetectionQuery, Detections],
        trial: Trial,
        measured: tuple[float, float],
        begin: float,
    ) -> None:
        self._bench = bench
        self._footage = footage
        self._engine = engine
        self._trial = trial
        self._measured = measured
        self._begin = begin
        self._memory = mmap.mmap(-1, RING_BYTES)
        self._writer = PacketWriter(self._memory)
        self._ring: DeviceRing | None = None
        self._ready: deque[FrameReady] = deque()
        self._came = asyncio.Event()
        self._tracker = ByteTracker()
        self._decoding = DeviceDecoding(
            _request(footage),
            footage.info,
            footage.handed,
            bench.station,
            PacketReader(np.frombuffer(self._memory, np.uint8)),
            Says(self._hear, self._use, lambda: self._writer.release(1)),
        )

    async def run(self, until: float) -> None:
        """Until this monotonic time."""
        consumer = asyncio.create_task(self._consume())
        try:
            number = 0
            while (due := self._due(number)) < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._measured[0] <= due < self._measured[1]:
                    self._trial.offered += 1
                self._put(number, due)
                number += 1
        finally:
            consumer.cancel()

    async def close(self) -> None:
        """End its decoder."""
        await self._decoding.close()

    def _due(self, number: int) -> float:
        return self._begin + number / self._footage.rate

    def _put(self, number: int, due: float) -> None:
        packet = self._footage.packet(number)
        start = self._writer.write(bytes(packet))
        if start is None:
            self._trial.failure = "packets came faster than they were decoded"
            return
        self._decoding.put(
            PacketReady(
                start=start,
                size=packet.size,
                pts=number,
                dts=number,
                keyframe=bool(packet.is_keyframe),
                arrival=due,
                skipped=0,
            )
        )

    def _use(self, ring: DeviceRing) -> None:
        self._ring = ring

    def _hear(self, message: Message) -> None:
        if isinstance(message, Failed):
            self._trial.failure = message.message
        if not isinstance(message, FrameReady) or self._ring is None:
            return
        self._ring.take(message.slot)
        if self._ready:
            # A newer one is there before the older was looked at.
            self._free(self._ready.popleft())
        self._ready.append(message)
        self._came.set()

    async def _consume(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            if not self._ready or self._ring is None:
                continue
            frame = self._ready.popleft()
            asked = whole(self._ring.written[frame.slot].picture, self._bench.detector)
            found = await self._engine.ask(self, asked, QUERY)
            self._free(frame)
            self._tracker.update(found.boxes, found.scores, found.classes, frame.pts)
            due = self._due(frame.index)
            if self._measured[0] <= due < self._measured[1]:
                self._trial.times.append(time.monotonic() - due)

    def _free(self, frame: FrameReady) -> None:
        if self._ring is not None:
            self._ring.release(frame.slot)
            self._decoding.say(SlotsFree(ring=frame.ring, slots=[frame.slot]))


def _request(footage: Footage) -> OpenRequest:
    """As for a camera of which everything is analysed."""
    return OpenRequest(
        url="test://bench",
        transport="auto",
        kind="live",
        sampling_mode="all",
        sampling_value=None,
        model_width=16,
        model_height=16,
        slots=_SLOTS,
        max_frames=None,
        resume_after_frame=None,
        memory=1,
        frame_memory=RING_BYTES,
        io_timeout=10,
        verify_tls=True,
        ca_file=None,
        packets=["h264"],
    )
