"""A clip as packets in memory, which any number of streams show at once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from videofleet_worker.decode.messages import HandOver, Opened


@dataclass(frozen=True)
class Coded:
    """One packet: a frame, as there are no B-frames."""

    data: bytes
    keyframe: bool


@dataclass(frozen=True)
class Footage:
    """A clip. `packets` can be shown again and again: the first is a keyframe. Stamps count frames."""

    packets: tuple[Coded, ...]
    info: Opened
    handed: HandOver
    rate: int

    def packet(self, number: int) -> Packet:
        """That of the frame of this number, when the clip is shown again and again."""
        coded = self.packets[number % len(self.packets)]
        packet = Packet(coded.data)
        packet.pts = packet.dts = number
        packet.time_base = Fraction(*self.handed.time_base)
        packet.is_keyframe = coded.keyframe
        return packet


def read(path: Path, rate: int) -> Footage:
    """All packets of a clip without B-frames, in Annex B as a camera sends it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        packets = tuple(Coded(bytes(one), bool(one.is_keyframe)) for one in container.demux(stream) if one.size)
        size = context.width, context.height
        handed = HandOver(
            codec="h264", extradata=(context.extradata or b"").hex(), width=size[0], height=size[1], time_base=(1, rate)
        )
    info = Opened(live=True, fps=rate, width=size[0], height=size[1], codec="h264", total_frames=None)
    return Footage(packets, info, handed, rate)
