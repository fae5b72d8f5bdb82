"""The work of a decoding child: from the request to the last frame."""

import time
from collections.abc import Iterator
from typing import Protocol

from av.video.frame import VideoFrame

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.direct import DirectView
from videofleet_worker.decode.footage import Footage
from videofleet_worker.decode.looks import Looks
from videofleet_worker.decode.messages import (
    Ended,
    FrameReady,
    Message,
    Opened,
    OpenRequest,
    PacketsTaken,
    ParentMessage,
    Progress,
    SlotFree,
    UseMasks,
    WatchDirect,
)
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.picture import is_full_range
from videofleet_worker.decode.sampling import Sampler, Sampling
from videofleet_worker.decode.shelf import Shelf
from videofleet_worker.decode.timeline import Timeline
from videofleet_worker.sources.errors import SourceError

# Frames of live sources older than this (seconds) are of no use any more.
MAX_AGE = 0.5
_REPORT_EVERY = 0.25
_USUAL_PERIOD = 1 / 25


class Channel(Protocol):
    """The way to those who want the frames. Each call raises ParentGone when nobody does any more."""

    def send(self, message: Message, data: bytes = b"") -> None:
        """Say something, and hand over the bytes that follow it."""
        ...

    def wait(self) -> ParentMessage:
        """Wait until something is said."""
        ...

    def poll(self) -> list[ParentMessage]:
        """What was said since the last call."""
        ...


class Serving:
    """Takes the frames of one open source and hands on the wanted ones."""

    def __init__(self, request: OpenRequest, footage: Footage, channel: Channel, shelf: Shelf) -> None:
        self._request = request
        self._footage = footage
        self._channel = channel
        self._live = footage.info.live
        self._timeline = Timeline(1 / footage.info.fps if footage.info.fps else _USUAL_PERIOD, live=self._live)
        self._part = Part(request.part_start, request.part_end, request.part_unit) if request.part_unit else None
        if self._part is not None and self._live:
            raise SourceError(ErrorCode.BAD_PARAMETER, "range is for recorded sources, and this one is live")
        self._sampler = Sampler(Sampling(request.sampling_mode, request.sampling_value))
        self._direct = DirectView(footage.stream, channel.send)
        self._shelf = shelf
        self._use(request.masks)
        self._looks = Looks() if self._live else None
        self._over = False
        self._sent = 0
        self._decoded = 0
        self._dropped = footage.tally.dropped
        self._reported_at = time.monotonic()

    @property
    def info(self) -> Opened:
        """What the parent is told of the source: of a part how many frames are in it."""
        if self._part is None:
            return self._footage.info
        return self._footage.info.model_copy(update={"total_frames": self._part.frames_of(self._footage.info)})

    def run(self) -> None:
        """Serve to the end. Raises SourceError, and ParentGone when the parent has closed the socket."""
        try:
            self._serve(self._footage.frames(self._direct.take))
            self._direct.end()
        finally:
            self._footage.close()
        self._channel.send(Ended())

    def _serve(self, frames: Iterator[tuple[Decoded, float] | None]) -> None:
        try:
            for frame in frames:
                if frame is None:
                    self._look_after_parent()
                    continue
                self._handle(*frame)
                if self._is_enough():
                    return
        finally:
            self._report()

    def _is_enough(self) -> bool:
        # Of a live source the parent may drop what was sent, so only it can count.
        limit = None if self._live else self._request.max_frames
        return self._over or (limit is not None and self._sent >= limit)

    def _look_after_parent(self) -> None:
        for message in self._channel.poll():
            self._obey(message)
        if time.monotonic() - self._reported_at >= _REPORT_EVERY:
            self._report()

    def _handle(self, decoded: Decoded, arrival: float) -> None:
        self._decoded += 1
        pts = self._timeline.place(decoded.raw, arrival)
        if self._part is not None and self._part.begins_after(decoded.index, pts):
            return
        if self._part is not None and self._part.ends_before(decoded.index, pts):
            self._over = True
            return
        wanted = self._sampler.wants(decoded.index, pts, decoded.keyframe)
        if self._looks is not None and (wanted or decoded.keyframe):
            self._looks.see(decoded.frame, decoded.index, decoded.keyframe, arrival)
        if self._was_served_before(decoded.index):
            return
        if not wanted:
            self._dropped["sampling"] += 1
            return
        taken = self._footage.taken_at(decoded)
        if self._live and time.monotonic() - taken > MAX_AGE:
            self._dropped["stale"] += 1
            return
        self._hand_over(decoded, pts, taken)

    def _was_served_before(self, index: int) -> bool:
        resume = self._request.resume_after_frame
        return resume is not None and index <= resume

    def _hand_over(self, decoded: Decoded, pts: float, taken: float) -> None:
        slot = self._slot(decoded.frame)
        if slot is None:
            self._dropped["no_slot"] += 1
            return
        self._shelf.write(decoded.frame, slot)
        self._sent += 1
        self._channel.send(
            FrameReady(
                ring=self._shelf.number,
                slot=slot,
                index=decoded.index,
                pts=pts,
                capture_time=time.time() - (time.monotonic() - taken),
                taken=taken,
                keyframe=decoded.keyframe,
                full_range=is_full_range(decoded.frame),
                masks=self._masks,
            )
        )

    def _slot(self, frame: VideoFrame) -> int | None:
        """Recorded sources wait for a slot: nothing of a file is lost, however slow its consumer is."""
        slot = self._shelf.slot(frame)
        while slot is None and not self._live:
            self._report()
            self._obey(self._channel.wait())
            slot = self._shelf.slot(frame)
        return slot

    def _obey(self, message: ParentMessage) -> None:
        match message:
            case UseMasks():
                self._use(message)
            case SlotFree():
                self._shelf.free(message.ring, message.slot)
            case WatchDirect():
                self._direct.watch(message.number)
            case PacketsTaken():
                # Said to what hands over packets.
                pass

    def _use(self, masks: UseMasks) -> None:
        self._masks = masks.number
        self._shelf.use(masks)
        self._direct.mask(masked=bool(masks.masks))

    def _report(self) -> None:
        self._reported_at = time.monotonic()
        tally = self._footage.tally
        dropped = {cause: count for cause, count in self._dropped.items() if count}
        if tally.received or self._decoded or dropped:
            still, black = self._seen(self._reported_at)
            self._channel.send(
                Progress(
                    received=tally.received,
                    bytes=tally.bytes,
                    decoded=self._decoded,
                    dropped=dropped,
                    still=still,
                    black=black,
                )
            )
        tally.received = tally.bytes = self._decoded = 0
        self._dropped.clear()

    def _seen(self, now: float) -> tuple[float, float]:
        """For how long the picture has been still, and black."""
        return (0.0, 0.0) if self._looks is None else (self._looks.still_for(now), self._looks.black_for(now))
