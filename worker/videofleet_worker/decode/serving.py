"""The work of a decoding child: from the request to the last frame."""

import time
from collections.abc import Iterator
from typing import Protocol

from av.video.frame import VideoFrame

from videofleet_api.codes import DropCause, ErrorCode
from videofleet_worker.decode.capture import Dating
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.direct import DirectView
from videofleet_worker.decode.footage import Footage
from videofleet_worker.decode.frame import MAX_AGE
from videofleet_worker.decode.messages import (
    Alive,
    Ended,
    FrameReady,
    Message,
    Opened,
    OpenRequest,
    PacketsTaken,
    ParentMessage,
    Progress,
    SlotsFree,
    UseMasks,
    WatchDirect,
)
from videofleet_worker.decode.picture import is_full_range, matrix_of
from videofleet_worker.decode.shelf import Shelf
from videofleet_worker.sources.errors import SourceError

_REPORT_EVERY = 0.25


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
        if footage.choice.part is not None and self._live:
            raise SourceError(ErrorCode.BAD_PARAMETER, "range is for recorded sources, and this one is live")
        self._direct = DirectView(footage.stream, channel.send)
        self._shelf = shelf
        self._use(request.masks)
        self._sent = 0
        self._dating = Dating()
        self._dropped = footage.tally.dropped
        self._reported_at = time.monotonic()

    @property
    def info(self) -> Opened:
        """What the parent is told of the source: of a part how many frames are in it."""
        info, part = self._footage.info, self._footage.choice.part
        return info if part is None else info.model_copy(update={"total_frames": part.frames_of(info)})

    def run(self) -> None:
        """Serve to the end. Raises SourceError, and ParentGone when the parent has closed the socket."""
        try:
            self._serve(self._footage.frames(self._direct.take))
            self._direct.end()
        finally:
            self._footage.close()
        self._channel.send(Ended())

    def _serve(self, frames: Iterator[Decoded | None]) -> None:
        try:
            for frame in frames:
                if frame is None:
                    self._look_after_parent()
                    continue
                self._handle(frame)
                if self._is_enough():
                    return
        finally:
            self._report()

    def _is_enough(self) -> bool:
        # Of a live source the parent may drop what was sent, so only it can count.
        limit = None if self._live else self._request.max_frames
        return limit is not None and self._sent >= limit

    def _look_after_parent(self) -> None:
        for message in self._channel.poll():
            self._obey(message)
        self._report_if_due()

    def _handle(self, decoded: Decoded) -> None:
        taken = self._footage.taken_at(decoded)
        if self._live and time.monotonic() - taken > MAX_AGE:
            self._dropped[DropCause.STALE] += 1
            return
        self._hand_over(decoded, taken)

    def _hand_over(self, decoded: Decoded, taken: float) -> None:
        slot = self._slot(decoded.frame)
        if slot is None:
            self._dropped[DropCause.NO_SLOT] += 1
            return
        self._shelf.write(decoded.frame, slot)
        self._sent += 1
        arrival = time.time() - (time.monotonic() - taken)
        self._channel.send(
            FrameReady(
                ring=self._shelf.number,
                slot=slot,
                index=decoded.index,
                pts=decoded.judged.pts,
                capture_time=self._dating.date(self._footage.captured_at(decoded), arrival),
                arrival=arrival,
                taken=taken,
                keyframe=decoded.keyframe,
                full_range=is_full_range(decoded.frame),
                matrix=matrix_of(decoded.frame),
                masks=self._masks,
            )
        )

    def _slot(self, frame: VideoFrame) -> int | None:
        """Recorded sources wait for a slot: nothing of a file is lost, however slow its consumer is."""
        slot = self._shelf.slot(frame)
        while slot is None and not self._live:
            self._report_if_due()
            self._obey(self._channel.wait())
            slot = self._shelf.slot(frame)
        return slot

    def _obey(self, message: ParentMessage) -> None:
        match message:
            case UseMasks():
                self._use(message)
            case SlotsFree():
                for slot in message.slots:
                    self._shelf.free(message.ring, slot)
            case WatchDirect():
                self._direct.watch(message.number)
            case PacketsTaken():
                # Said to what hands over packets.
                pass

    def _use(self, masks: UseMasks) -> None:
        self._masks = masks.number
        self._shelf.use(masks)
        self._direct.mask(masked=bool(masks.masks))

    def _report_if_due(self) -> None:
        if time.monotonic() - self._reported_at >= _REPORT_EVERY and not self._report():
            self._channel.send(Alive())

    def _report(self) -> bool:
        """Tell what was done since the last time; whether there was anything."""
        self._reported_at = time.monotonic()
        tally, strategy, looks = self._footage.tally, self._footage.strategy, self._footage.looks
        self._dropped.update(self._footage.choice.dropped)
        self._footage.choice.dropped.clear()
        # Of one that takes the place of a damaged one it was said before that it was left out: it is made up for later.
        dropped = {cause: count for cause, count in self._dropped.items() if count > 0}
        anything = bool(tally.received or tally.decoded or tally.passed or dropped)
        if anything:
            self._channel.send(
                Progress(
                    received=tally.received,
                    bytes=tally.bytes,
                    decoded=tally.decoded,
                    passed=tally.passed,
                    seeks=tally.seeks,
                    strategy=strategy,
                    dropped=dropped,
                    still=looks.still_for if looks else 0.0,
                    black=looks.black_for if looks else 0.0,
                    clock=self._dating.clock,
                    delay=self._dating.delay,
                )
            )
        tally.received = tally.bytes = tally.decoded = tally.passed = tally.seeks = 0
        for cause in dropped:
            del self._dropped[cause]
        return anything
