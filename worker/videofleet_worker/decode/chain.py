"""Packets from a keyframe on, and how far the decoder has got in them."""

from collections.abc import Container
from typing import Final

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videofleet_worker.decode.decoder import decoded_frames
from videofleet_worker.decode.order import Coded

# What may wait to be decoded or not: some 16 seconds at 8 Mbit/s.
_MOST_BYTES: Final = 16 * 2**20
_MOST_PACKETS: Final = 1500


class Chain:
    """What may have to be decoded for the sake of a frame that is still to come.

    repairing: nothing is left out of what is decoded, until the next keyframe.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.repairing = False
        self._context = stream.codec_context
        self._stream = stream
        self._packets: list[Coded] = []
        self._bytes = 0
        self._fed = 0
        # How far it has ever got: after it was drained it may have to begin again.
        self._reached = 0
        self._whole = True
        self._skips = False

    @property
    def is_empty(self) -> bool:
        """Whether it has no packet: the next one must be a keyframe."""
        return not self._packets and self._whole

    @property
    def can_begin_again(self) -> bool:
        """Whether it still begins with its keyframe."""
        return self._whole

    @property
    def unfed(self) -> int:
        """How many of its packets the decoder has not got."""
        return len(self._packets) - self._reached

    def add(self, coded: Coded) -> None:
        """A packet, in the order of decoding."""
        self._packets.append(coded)
        self._bytes += coded.packet.size

    def place_of(self, coded: Coded) -> int:
        """How many of the chain's packets come before one of them."""
        return coded.place - self._packets[0].place

    def unfed_before(self, coded: Coded) -> int:
        """How many of those before a packet the decoder has not got."""
        return max(0, self.place_of(coded) - self._reached)

    def goes_on_to(self, coded: Coded) -> bool:
        """Whether the decoder has got all that comes before a packet."""
        return self._fed >= self.place_of(coded)

    def begin(self, coded: Coded) -> None:
        """Let it begin with this keyframe; what comes before is needed no more."""
        place = self.place_of(coded)
        self._bytes -= sum(one.packet.size for one in self._packets[:place])
        del self._packets[:place]
        self._fed, self._reached = max(0, self._fed - place), max(0, self._reached - place)
        self._whole, self.repairing = True, False

    def find(self, pts: int) -> Coded | None:
        """The packet with a timestamp."""
        return next((one for one in self._packets if one.packet.pts == pts), None)

    def through(self, coded: Coded, wanted: Container[int]) -> list[VideoFrame]:
        """Decode up to and with a packet, but no frame that is neither wanted nor referred to."""
        return self._feed(self.place_of(coded) + 1, wanted)

    def judged(self, wanted: Container[int]) -> list[VideoFrame]:
        """Decode all packets up to the first one of which nothing was said yet."""
        place = self._fed
        while place < len(self._packets) and self._packets[place].judged is not None:
            place += 1
        return self._feed(place, wanted)

    def all(self) -> list[VideoFrame]:
        """Decode all packets."""
        self.repairing = True
        return self._feed(len(self._packets), ())

    def again(self, until: Coded | None) -> list[VideoFrame]:
        """Decode everything anew up to what has been decoded, or up to a packet, leaving nothing out."""
        place = self._fed if until is None else self.place_of(until)
        self._context.flush_buffers()
        self._fed, self.repairing = 0, True
        return self._feed(place, ())

    def drain(self) -> list[VideoFrame]:
        """What is still inside the decoder, which begins anew with the first packet."""
        frames = decoded_frames(self._stream, None)
        self._context.flush_buffers()
        self._fed = 0
        return frames

    def clear(self) -> None:
        """What follows does not follow on this."""
        self._packets, self._bytes, self._fed, self._reached = [], 0, 0, 0
        self._whole, self.repairing = True, False

    @property
    def is_too_long(self) -> bool:
        """Whether it takes more memory than it should."""
        return len(self._packets) > _MOST_PACKETS or self._bytes > _MOST_BYTES

    def forget_what_was_fed(self) -> None:
        """From here on the decoder can only go on, not begin again."""
        self._bytes -= sum(one.packet.size for one in self._packets[: self._fed])
        del self._packets[: self._fed]
        self._fed, self._reached, self._whole = 0, 0, False

    def _feed(self, place: int, wanted: Container[int]) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        for coded in self._packets[self._fed : place]:
            superfluous = not self.repairing and coded.judged is not None and coded.pts not in wanted
            self._skip_unless_referred_to(superfluous)
            frames += decoded_frames(self._stream, coded.packet)
        self._fed = max(self._fed, place)
        self._reached = max(self._reached, self._fed)
        self._skip_unless_referred_to(False)
        return frames

    def _skip_unless_referred_to(self, skips: bool) -> None:
        if skips != self._skips:
            self._context.skip_frame = "NONREF" if skips else "DEFAULT"
            self._skips = skips
