"""The work of a decoding child: from the request to the last frame."""

import time
from collections import Counter
from collections.abc import Iterator

import av.error
from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.arrival import ArrivalClock
from videofleet_worker.decode.channel import ParentChannel
from videofleet_worker.decode.decoder import Decoded, Decoder, KeyframeDecoder
from videofleet_worker.decode.failures import read_failure
from videofleet_worker.decode.messages import DropCause, Ended, FrameReady, OpenRequest, Progress, RingReady, SlotFree
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import LivePackets, RecordedPackets
from videofleet_worker.decode.picture import PictureWriter, is_full_range
from videofleet_worker.decode.ring import RingLayout, RingWriter
from videofleet_worker.decode.sampling import Sampler, Sampling
from videofleet_worker.decode.timeline import Timeline
from videofleet_worker.decode.truncation import Truncation
from videofleet_worker.sources.errors import SourceError

# Frames of live sources older than this (seconds) are of no use any more.
MAX_AGE = 0.5
_REPORT_EVERY = 0.25
_USUAL_PERIOD = 1 / 25


class Serving:
    """Decodes one open source and hands the wanted frames to the parent."""

    def __init__(self, request: OpenRequest, source: OpenSource, channel: ParentChannel) -> None:
        self._request = request
        self._source = source
        self._channel = channel
        self._live = source.info.live
        self._clock = ArrivalClock()
        self._timeline = Timeline(1 / source.info.fps if source.info.fps else _USUAL_PERIOD, live=self._live)
        sampling = Sampling(request.sampling_mode, request.sampling_value)
        self._sampler = Sampler(sampling)
        self._decoder = (KeyframeDecoder if sampling.mode == "keyframe" else Decoder)(source.stream)
        self._picture = PictureWriter(request.model_width, request.model_height)
        self._truncation = Truncation(source)
        self._ring: RingWriter | None = None
        self._rings = 0
        self._sent = 0
        self._received = 0
        self._decoded = 0
        self._seen_any = False
        self._dropped: Counter[DropCause] = Counter()
        self._reported_at = time.monotonic()

    def run(self) -> None:
        """Serve to the end. Raises SourceError, and ParentGone when the parent has closed the socket."""
        packets = LivePackets(self._source, self._clock) if self._live else RecordedPackets(self._source)
        try:
            self._serve(packets)
        finally:
            # Closing says goodbye to the camera, which else keeps the session among its few until a timeout.
            if packets.stop():
                self._source.container.close()
        self._channel.send(Ended())

    def _serve(self, packets: LivePackets | RecordedPackets) -> None:
        try:
            for decoded, arrival in self._decode(packets):
                self._handle(decoded, arrival)
                if self._is_enough():
                    return
            self._check_end()
        except av.error.FFmpegError as error:
            raise read_failure(error, self._truncation.position(self._decoder.next_index)) from None
        finally:
            self._report()

    def _is_enough(self) -> bool:
        # Of a live source the parent may drop what was sent, so only it can count.
        return not self._live and self._request.max_frames is not None and self._sent >= self._request.max_frames

    def _decode(self, packets: LivePackets | RecordedPackets) -> Iterator[tuple[Decoded, float]]:
        for arrived in packets:
            self._look_after_parent()
            if arrived is None:
                continue
            if arrived.skipped:
                self._decoder.skip(arrived.skipped)
                self._dropped["stale"] += arrived.skipped
            self._received += 1
            self._truncation.note(arrived.packet)
            for decoded in self._decoder.decode(arrived.packet):
                yield decoded, arrived.arrival
        for decoded in self._decoder.decode(None):
            yield decoded, time.monotonic()

    def _look_after_parent(self) -> None:
        for free in self._channel.poll_free():
            self._freed(free)
        if time.monotonic() - self._reported_at >= _REPORT_EVERY:
            self._report()

    def _handle(self, decoded: Decoded, arrival: float) -> None:
        self._decoded += 1
        self._seen_any = True
        pts = self._timeline.place(decoded.raw, arrival)
        wanted = self._sampler.wants(decoded.index, pts, decoded.keyframe)
        if self._was_served_before(decoded.index):
            return
        if not wanted:
            self._dropped["sampling"] += 1
            return
        taken = self._clock.taken_at(decoded.raw) if self._live else time.monotonic()
        if self._live and time.monotonic() - taken > MAX_AGE:
            self._dropped["stale"] += 1
            return
        self._hand_over(decoded, pts, taken)

    def _was_served_before(self, index: int) -> bool:
        resume = self._request.resume_after_frame
        return resume is not None and index <= resume

    def _hand_over(self, decoded: Decoded, pts: float, taken: float) -> None:
        ring = self._ring_for(decoded.frame)
        slot = self._slot(ring)
        if slot is None:
            self._dropped["no_slot"] += 1
            return
        self._picture.write(decoded.frame, ring.views(slot))
        self._sent += 1
        self._channel.send(
            FrameReady(
                ring=ring.number,
                slot=slot,
                index=decoded.index,
                pts=pts,
                capture_time=time.time() - (time.monotonic() - taken),
                taken=taken,
                keyframe=decoded.keyframe,
                full_range=is_full_range(decoded.frame),
            )
        )

    def _ring_for(self, frame: VideoFrame) -> RingWriter:
        if self._ring is not None:
            if self._ring.layout.shows(frame.width, frame.height):
                return self._ring
            self._ring.close()
        try:
            layout = RingLayout(
                frame.width, frame.height, self._request.model_width, self._request.model_height, self._request.slots
            )
        except ValueError as error:
            raise SourceError(ErrorCode.UNSUPPORTED, f"pictures of {frame.width}x{frame.height}: {error}") from error
        self._ring = RingWriter(self._rings, layout)
        self._rings += 1
        self._channel.send(
            RingReady(number=self._ring.number, width=frame.width, height=frame.height), fd=self._ring.fd
        )
        return self._ring

    def _slot(self, ring: RingWriter) -> int | None:
        """Recorded sources wait for a slot: nothing of a file is lost, however slow its consumer is."""
        slot = ring.acquire()
        while slot is None and not self._live:
            self._report()
            self._freed(self._channel.wait_free())
            slot = ring.acquire()
        return slot

    def _freed(self, free: SlotFree) -> None:
        # What is said of an earlier ring has no meaning any more.
        if self._ring is not None and free.ring == self._ring.number:
            self._ring.release(free.slot)

    def _report(self) -> None:
        self._reported_at = time.monotonic()
        self._dropped["decode_error"] += self._decoder.errors
        self._decoder.errors = 0
        dropped = {cause: count for cause, count in self._dropped.items() if count}
        if self._received or self._decoded or dropped:
            self._channel.send(Progress(received=self._received, decoded=self._decoded, dropped=dropped))
        self._received = self._decoded = 0
        self._dropped.clear()

    def _check_end(self) -> None:
        if self._live:
            raise SourceError(ErrorCode.NETWORK, "the camera ended the stream")
        if not self._seen_any:
            self._report_nothing_decoded()
        self._truncation.check(self._decoder.next_index)

    def _report_nothing_decoded(self) -> None:
        packets = self._truncation.packets
        if packets:
            raise SourceError(ErrorCode.CODEC, f"none of the {packets} pictures of the source could be decoded")
        raise SourceError(ErrorCode.EMPTY, "the source ended without a picture")
