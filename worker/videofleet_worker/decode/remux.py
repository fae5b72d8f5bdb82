"""H.264 packets into fragmented MP4 (ISO/IEC 14496-12), a fragment a picture, nothing decoded."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.packet import Packet
from av.video.stream import VideoStream

from videofleet_worker.decode.packets import VideoPacket

_OPTIONS: Final = {
    "movflags": "empty_moov+default_base_moof+frag_every_frame+skip_trailer",
    "flush_packets": "1",
}
_START_CODE: Final = b"\x00\x00\x01"
_PARAMETER_SET: Final = 7
_USUAL_PERIOD: Final = Fraction(1, 25)
# A step further than this (seconds), or back, is a new time axis.
_BREAK: Final = 10


@dataclass(frozen=True)
class Fragment:
    """A picture; `keyframe`: it can be begun with."""

    data: bytes
    keyframe: bool


class Remux:
    """From one keyframe on, as long as the parameters of the stream stay what they are.

    mime: as a browser's MediaSource takes it. head: what a player needs before any fragment.
    """

    def __init__(self, stream: VideoStream, extradata: bytes, keyframe: VideoPacket) -> None:
        """`extradata`: what the source has said of the stream last. Raises av.error.FFmpegError, or ValueError for
        what is no H.264."""
        self._extradata = extradata
        first = _with_parameters(extradata, bytes(keyframe))
        self._parameters = _parameters(first)
        self._writer = _Writer()
        self._container = av.open(self._writer, "w", format="mp4", options=_OPTIONS)
        self._times = Times(stream.time_base or Fraction(1, 90_000))
        self._stream = self._output(stream)
        self._last_is_keyframe = True
        self._mux(first, keyframe)
        self.head = self._writer.take()
        self.mime = _mime(self.head)

    def holds_for(self, extradata: bytes, packet: VideoPacket) -> bool:
        """Whether the head tells how the packet is to be decoded."""
        if _has_lengths(extradata) or not packet.is_keyframe:
            return extradata == self._extradata
        return _parameters(bytes(packet)) in (b"", self._parameters)

    def add(self, packet: VideoPacket) -> Fragment:
        """The picture before this one: how long it is shown is known only now."""
        keyframe, self._last_is_keyframe = self._last_is_keyframe, packet.is_keyframe
        self._mux(bytes(packet), packet)
        return Fragment(self._writer.take(), keyframe)

    def end(self) -> Fragment:
        """The last picture."""
        self._container.close()
        return Fragment(self._writer.take(), self._last_is_keyframe)

    def _output(self, stream: VideoStream) -> VideoStream:
        context = stream.codec_context
        if _has_lengths(self._extradata):
            added = self._container.add_stream_from_template(stream, opaque=True)
            added.codec_context.extradata = self._extradata
        else:
            # Its parameters are taken from the first packet.
            muxed = self._container.add_mux_stream("h264", width=context.width, height=context.height)
            assert isinstance(muxed, VideoStream), "H.264 is video"
            added = muxed
        added.time_base = self._times.time_base
        return added

    def _mux(self, data: bytes, packet: VideoPacket) -> None:
        # A copy: the decoder takes the packet itself, and muxing changes its times.
        copy = Packet(data)
        copy.dts, copy.pts = self._times.place(packet.dts, packet.pts)
        copy.time_base = self._times.time_base
        copy.is_keyframe = packet.is_keyframe
        copy.stream = self._stream
        self._container.mux(copy)


class Times:
    """Times that begin with 0 and grow, whatever a camera's do."""

    def __init__(self, time_base: Fraction) -> None:
        self.time_base = time_base
        self._step = max(1, round(_USUAL_PERIOD / time_base))
        self._furthest = round(_BREAK / time_base)
        self._offset: int | None = None
        self._last = -1

    def place(self, dts: int | None, pts: int | None) -> tuple[int, int]:
        """Decoding and presentation time, from those of the packet."""
        when = pts if dts is None else dts
        placed = self._placed(when)
        later = max(0, pts - when) if pts is not None and when is not None else 0
        return placed, placed + later

    def _placed(self, when: int | None) -> int:
        first, last = self._last < 0, self._last
        due = 0 if first else last + self._step
        if when is not None:
            if self._offset is None or not -self._step < when + self._offset - last <= self._furthest:
                self._offset = due - when
            due = max(when + self._offset, last + 1)
            if not first:
                self._step = min(due - last, self._furthest)
        self._last = due
        return due


class _Writer:
    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._written)
        self._written.clear()
        return data


def _has_lengths(extradata: bytes) -> bool:
    """Whether units are told apart by their lengths, as in files, and not by start codes (ITU-T H.264, annex B)."""
    return extradata[:1] == b"\x01"


def _parameters(data: bytes) -> bytes:
    """The sequence parameter sets among units with start codes."""
    units = data.split(_START_CODE)[1:]
    return b"".join(unit.rstrip(b"\0") for unit in units if unit and unit[0] & 0x1F == _PARAMETER_SET)


def _with_parameters(extradata: bytes, keyframe: bytes) -> bytes:
    """The keyframe, with the parameters that the camera has told in advance where it does not repeat them."""
    return keyframe if _has_lengths(extradata) or _parameters(keyframe) else extradata + keyframe


def _mime(head: bytes) -> str:
    """The media type (RFC 6381) by the configuration record in the head (ISO/IEC 14496-15)."""
    at = head.find(b"avcC")
    if at < 0:
        raise ValueError("no H.264 in the head")
    profile = head[at + 5 : at + 8].hex().upper()
    return f'video/mp4; codecs="avc1.{profile}"'
