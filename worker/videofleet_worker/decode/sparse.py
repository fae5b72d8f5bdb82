"""Decoding only what is wanted, and what that needs: frames are chosen by their timestamps before any is decoded."""

from collections.abc import Iterator, Sequence

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videofleet_worker.decode.chain import Chain
from videofleet_worker.decode.choice import Choice, Judged
from videofleet_worker.decode.decoder import Decoded, Decoder, DecoderCounts, KeyframeDecoder
from videofleet_worker.decode.interval import KeyframeInterval
from videofleet_worker.decode.messages import Strategy
from videofleet_worker.decode.order import Coded, DisplayOrder, IrregularError
from videofleet_worker.decode.packets import VideoPacket, raw_seconds

# So often frames may be missing that should have come, until everything is decoded.
_MOST_REPAIRS = 3
_BEFORE_ALL = -(2**63)


class SparseDecoder:
    """Packets wait from a keyframe on, until one of them is wanted or the next keyframe makes them superfluous.

    The wanted frames are those that would come out if everything were decoded; with them come those of a live source's
    keyframes that had to be decoded anyway, for who looks at the picture. Where timestamps are irregular
    everything is: of a recorded source from then on, of a live one until they have been regular between two keyframes.

    A recorded source's packets wait as long as they can. A live one's wait only where the next keyframe is expected
    before the next wanted frame; else each is decoded as it comes, so that no wanted frame waits for those before it.
    """

    def __init__(self, stream: VideoStream, choice: Choice, *, live: bool) -> None:
        self.counts = DecoderCounts()
        self.place = 0
        self._stream = stream
        self._choice = choice
        self._live = live
        self._order = DisplayOrder(0)
        self._chain = Chain(stream)
        # By timestamp, in order: wanted frames that have not come out yet.
        self._wanted: dict[int, Coded] = {}
        self._entered = False
        self._plain: Decoder | KeyframeDecoder | None = None
        self._probation: DisplayOrder | None = None
        self._interval = KeyframeInterval()
        # The frame of this timestamp was lost: the next one that comes out takes its place.
        self._lost: int | None = None
        self._delivered = self._judged = _BEFORE_ALL
        self._repairs = 0
        self._interlaced = False
        self._others_decoded = [False, False]
        self._ready: list[Decoded] = []

    @property
    def next_index(self) -> int:
        """See FrameDecoder."""
        return self._plain.next_index if self._plain is not None else self._order.next_index

    @property
    def strategy(self) -> Strategy:
        """See FrameDecoder. Only keyframes, where nothing else was decoded between the last three of them."""
        if self._plain is not None:
            return self._plain.strategy
        return "needed" if any(self._others_decoded) else "keyframes"

    @property
    def delay(self) -> int | None:
        """By how much frames are shown after they are decoded, in units of the stream; None: leave no packet out."""
        stays = self._plain is not None or self._chain.repairing or not self._entered
        return None if stays or not self._chain.can_begin_again else self._order.delay

    def settle(self) -> None:
        """Get everything out of the decoder, which is to be emptied when reading goes on elsewhere."""
        self._ready += self._finish(None)

    def skip(self, packets: int) -> None:
        """See FrameDecoder. What follows begins with a keyframe."""
        if self._plain is not None:
            self._plain.skip(packets)
            return
        for coded in self._order.rest():
            self._ready += self._turn(coded)
        self._ready += self._finish(None)
        self.counts.passed += self._chain.unfed + packets
        self._chain.clear()
        self._interval.forget()
        self._order.next_index += packets
        self.place += packets
        self._entered = False

    def decode(self, packet: VideoPacket | None, arrival: float) -> Iterator[Decoded]:
        """See FrameDecoder."""
        ready, self._ready = self._ready, []
        yield from ready
        if packet is None:
            yield from self._end(arrival)
            return
        yield from self._reconsider(packet, arrival)
        if self._plain is not None:
            yield from self._decode_plainly(packet, arrival)
            return
        coded = Coded(packet, self.place, arrival)
        if not self._fits(coded):
            yield from self._leave(arrival, clean=packet.is_keyframe)
            yield from self._decode_plainly(packet, arrival)
            return
        self.place += 1
        yield from self._add(coded)
        if self._choice.takes_all or self._interlaced or self._repairs > _MOST_REPAIRS:
            yield from self._leave(arrival, clean=False)

    # In order of display

    def _fits(self, coded: Coded) -> bool:
        if self._chain.is_empty and not coded.packet.is_keyframe:
            return False
        # What describes the pictures from here on comes with one packet only, which must not be left out.
        if coded.place and coded.packet.has_sidedata("new_extradata"):
            return False
        try:
            self._certain = self._order.add(coded)
        except IrregularError:
            return False
        return True

    def _add(self, coded: Coded) -> Iterator[Decoded]:
        self._chain.add(coded)
        for one in self._certain:
            yield from self._turn(one)
        if self._choice.over:
            return
        if self._live:
            yield from self._keep_up(coded)
        elif self._chain.repairing:
            yield from self._take(self._chain.all())
        elif self._chain.is_too_long:
            yield from self._take(self._chain.judged(self._wanted))
            self._chain.forget_what_was_fed()

    def _turn(self, coded: Coded) -> Iterator[Decoded]:
        """A frame whose turn it is, whether it is decoded or not."""
        if coded.packet.is_keyframe:
            yield from self._begin(coded)
        self._judged = coded.pts
        if not self._entered or coded.packet.is_discard:
            # Shown before the first keyframe, or left out by the file itself.
            coded.judged = Judged(0.0, False)
            return
        raw, key = raw_seconds(coded.pts, self._stream), coded.packet.is_keyframe
        coded.judged = self._choice.judge(coded.index, raw, coded.arrival, keyframe=key)
        if coded.judged.wanted or (self._lost is not None and self._takes_place(coded)):
            self._others_decoded[-1] |= not key
            self._wanted[coded.pts] = coded
            yield from self._take(self._chain.through(coded, self._wanted))

    def _begin(self, keyframe: Coded) -> Iterator[Decoded]:
        """All that is shown before a keyframe has had its turn: nothing before it is needed any more."""
        if not self._chain.goes_on_to(keyframe):
            self.counts.passed += self._chain.unfed_before(keyframe)
            yield from self._finish(keyframe)
        self._chain.begin(keyframe)
        self._entered = True
        self._others_decoded = [*self._others_decoded[-1:], False]
        raw = raw_seconds(keyframe.pts, self._stream)
        if raw is not None:
            self._interval.keyframe(keyframe.index, raw)

    # Frames as they come out

    def _take(self, frames: Sequence[VideoFrame]) -> Iterator[Decoded]:
        for frame in frames:
            self.counts.decoded += 1
            self._interlaced = self._interlaced or frame.interlaced_frame
            if frame.is_corrupt or frame.pts is None:
                continue
            if any(pts < frame.pts for pts in self._wanted) and self._can_repair:
                yield from self._repair(None)
                return
            yield from self._deliver(frame, frame.pts)

    def _deliver(self, frame: VideoFrame, pts: int) -> Iterator[Decoded]:
        for missing in [one for one in self._wanted if one < pts]:
            self._lose(missing)
        coded = self._wanted.pop(pts, None)
        if coded is None and self._lost is not None and pts > self._lost:
            found = self._chain.find(pts)
            coded = found if found is not None and self._takes_place(found) else None
        if coded is None and self._live and frame.key_frame:
            yield from self._by_the_way(frame, pts)
        if coded is None or coded.judged is None or pts <= self._delivered:
            return
        judged = coded.judged
        if not judged.wanted:
            if self._lost is None:
                return
            self._choice.take_after_all()
            judged = judged._replace(wanted=True)
        self._delivered, self._lost = pts, None
        yield self._decoded(frame, coded, judged)

    def _by_the_way(self, frame: VideoFrame, pts: int) -> Iterator[Decoded]:
        """A keyframe that nobody wants, decoded for the sake of others."""
        coded = self._chain.find(pts)
        if coded is not None and coded.judged is not None and not coded.judged.wanted:
            yield self._decoded(frame, coded, coded.judged)

    def _decoded(self, frame: VideoFrame, coded: Coded, judged: Judged) -> Decoded:
        raw = raw_seconds(coded.pts, self._stream)
        return Decoded(frame, coded.index, raw, coded.packet.is_keyframe, coded.arrival, judged)

    def _finish(self, until: Coded | None) -> Iterator[Decoded]:
        """Get everything out of the decoder, and make good for what has not come."""
        yield from self._take(self._chain.drain())
        if self._wanted and self._can_repair:
            yield from self._repair(until)
            for frame in self._chain.drain():
                if not frame.is_corrupt and frame.pts is not None:
                    yield from self._deliver(frame, frame.pts)
        for missing in list(self._wanted):
            self._lose(missing)

    @property
    def _can_repair(self) -> bool:
        return self._plain is None and not self._live and not self._chain.repairing and self._chain.can_begin_again

    def _repair(self, until: Coded | None) -> Iterator[Decoded]:
        """Decode all from the keyframe on, as if nothing had ever been left out."""
        self._repairs += 1
        for frame in self._chain.again(until):
            if not frame.is_corrupt and frame.pts is not None:
                yield from self._deliver(frame, frame.pts)

    def _lose(self, pts: int) -> None:
        judged = self._wanted.pop(pts).judged
        self.counts.errors += 1
        if judged is not None and judged.wanted and self._choice.replaces:
            self._lost = pts

    def _takes_place(self, coded: Coded) -> bool:
        return not self._choice.over and (coded.packet.is_keyframe or not self._choice.keyframes_only)

    # Live

    def _keep_up(self, newest: Coded) -> Iterator[Decoded]:
        if not self._may_wait(newest):
            self._others_decoded[-1] |= not newest.packet.is_keyframe
            yield from self._take(self._chain.judged(self._wanted))
            if self._chain.is_too_long:
                self._chain.forget_what_was_fed()
        elif self._wanted:
            yield from self._finish(None)

    def _may_wait(self, newest: Coded) -> bool:
        due = self._choice.due()
        stamp = raw_seconds(newest.pts, self._stream)
        if due is None or stamp is None or self._lost is not None or self._interval.is_late(stamp):
            return False
        return (
            self._chain.can_begin_again
            and not self._chain.is_too_long
            and self._interval.comes_before(due.index, due.stamp)
        )

    # Everything decoded

    def _leave(self, arrival: float, *, clean: bool) -> Iterator[Decoded]:
        """Decode everything from here on. `clean`: what follows needs nothing of what was before."""
        if clean or self._choice.keyframes_only:
            for coded in self._order.rest():
                yield from self._turn(coded)
            self.counts.passed += self._chain.unfed
            yield from self._finish(None)
            # Each of its frames has had its turn: none is to come out of what decodes all.
            self._chain.clear()
            self._judged = _BEFORE_ALL
        self._probation, index = None, self._order.next_index
        if self._choice.keyframes_only:
            self._plain = KeyframeDecoder(self._stream, self._choice, self.counts)
            self._plain.next_index = index
        else:
            self._plain = Decoder(self._stream, self._choice, self.counts)
            self._plain.numbers.next_index = index
            for coded in self._order.undecided():
                self.counts.errors += self._plain.numbers.received(raw_seconds(coded.pts, self._stream))
            yield from self._take_plainly(self._plain, self._chain.all(), arrival)
        self._chain.clear()

    def _decode_plainly(self, packet: VideoPacket | None, arrival: float) -> Iterator[Decoded]:
        plain = self._plain
        if isinstance(plain, KeyframeDecoder):
            yield from plain.decode(packet, arrival)
        elif plain is not None:
            if packet is not None and (plain.begins_anew(packet) or self._is_before_judged(packet)):
                yield from self._take_plainly(plain, plain.drain(), arrival)
                plain.forget()
                self._judged = _BEFORE_ALL
            yield from self._take_plainly(plain, plain.frames(packet), arrival)
            if packet is None:
                self.counts.errors += plain.numbers.ended()

    def _is_before_judged(self, packet: VideoPacket) -> bool:
        """Whether a keyframe is to be shown before what has had its turn, which it cannot be but on a new time axis."""
        return packet.is_keyframe and packet.pts is not None and packet.pts <= self._judged

    def _take_plainly(self, plain: Decoder, frames: Sequence[VideoFrame], arrival: float) -> Iterator[Decoded]:
        """Of some the turn has come before everything was decoded."""
        for frame in frames:
            if frame.pts is None or frame.pts > self._judged:
                self._judged = _BEFORE_ALL
                yield from plain.number(frame, arrival)
            else:
                yield from self._take([frame])

    def _reconsider(self, packet: VideoPacket, arrival: float) -> Iterator[Decoded]:
        """A live source whose timestamps have been regular from one keyframe to the next one is chosen from again."""
        plain = self._plain
        if not (self._live and isinstance(plain, Decoder)) or self._interlaced or self._choice.takes_all:
            return
        if packet.is_keyframe:
            if self._probation is not None:
                yield from plain.finish(arrival)
                self._plain, self._order = None, DisplayOrder(plain.next_index)
                self._entered, self._lost, self._delivered = False, None, _BEFORE_ALL
            self._probation = DisplayOrder(0)
        if self._probation is not None:
            try:
                self._probation.add(Coded(packet, 0, arrival))
            except IrregularError:
                self._probation = None

    def _end(self, arrival: float) -> Iterator[Decoded]:
        if self._plain is not None:
            yield from self._decode_plainly(None, arrival)
            return
        for coded in self._order.rest():
            yield from self._turn(coded)
        self.counts.passed += self._chain.unfed
        yield from self._finish(None)
