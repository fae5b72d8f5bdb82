"""Clips as cameras, editors and servers make them, coded in every way that matters to what is decoded of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream


@dataclass(frozen=True)
class Coding:
    """How a clip is coded. gaps: milliseconds between frames, again and again.

    begins: milliseconds before or after 0 at which the first frame is shown.

    times: how often the whole of it comes, with the same timestamps each time, as in a recording of several parts.
    """

    container: str = "mp4"
    codec: str = "libx264"
    frames: int = 250
    keyframe_every: int = 25
    options: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[int, ...] = (40,)
    begins: int = 0
    muxing: Mapping[str, str] = field(default_factory=dict)
    width: int = 64
    height: int = 48
    times: int = 1


_X264 = {"preset": "veryfast", "crf": "30", "sc_threshold": "0"}
B_FRAMES = {**_X264, "bf": "3"}
NO_B_FRAMES = {**_X264, "bf": "0"}

CODINGS: Mapping[str, Coding] = {
    "a keyframe a second": Coding(options=NO_B_FRAMES),
    "a keyframe a second, B-frames": Coding(options=B_FRAMES),
    "a keyframe every 8 s": Coding(options=NO_B_FRAMES, keyframe_every=200, frames=450),
    "a keyframe every 8 s, B-frames": Coding(options=B_FRAMES, keyframe_every=200, frames=450),
    "open groups": Coding(options={**B_FRAMES, "x264-params": "open-gop=1"}),
    "open groups, matroska": Coding("matroska", options={**B_FRAMES, "x264-params": "open-gop=1"}),
    "no even pace": Coding(options=B_FRAMES, gaps=(40, 7, 113, 40, 350, 1)),
    "no even pace, matroska": Coding("matroska", options=B_FRAMES, gaps=(33, 34, 33, 400)),
    "begins before 0": Coding(options=B_FRAMES, begins=-410),
    "begins after 0": Coding(options=B_FRAMES, begins=1300),
    "fragments": Coding(options=B_FRAMES, muxing={"movflags": "frag_keyframe+empty_moov"}),
    "transport stream": Coding("mpegts", options=B_FRAMES),
    "transport stream, no B-frames": Coding("mpegts", options=NO_B_FRAMES, keyframe_every=40),
    "parts of a transport stream": Coding("mpegts", options=NO_B_FRAMES, frames=80, times=3),
    "parts of a transport stream, B-frames": Coding("mpegts", options=B_FRAMES, frames=80, times=3),
    "flash video": Coding("flv", options=B_FRAMES),
    "keyframes only": Coding("matroska", "mjpeg", frames=90),
    "MPEG-2": Coding("mpegts", "mpeg2video", options={"bf": "2"}, keyframe_every=15),
    "MPEG-4 without timestamps": Coding("avi", "mpeg4", options={"bf": "2"}, keyframe_every=12),
    "VP8": Coding("webm", "libvpx", options={"deadline": "realtime", "cpu-used": "8"}, frames=120),
}


def make(path: Path, coding: Coding) -> Path:
    """Write a clip of moving noise."""
    with av.open(str(path), "w", format=coding.container, options=dict(coding.muxing)) as output:
        stream = output.add_stream(coding.codec, rate=25, options=dict(coding.options))
        assert isinstance(stream, VideoStream)
        width, height = stream.width, stream.height = coding.width, coding.height
        stream.pix_fmt = "yuvj420p" if coding.codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = coding.keyframe_every
        even = coding.gaps == (40,)
        base = Fraction(1, 25) if even else Fraction(1, 1000)
        stream.codec_context.time_base = base
        times = accumulate((coding.gaps[n % len(coding.gaps)] for n in range(coding.frames - 1)), initial=0)
        noise = np.random.default_rng(1).integers(30, 220, (height * 4, width * 4), np.uint8)
        for index, time in enumerate(times):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            row, column = index % (3 * height), (3 * index) % (3 * width)
            planes[:height] = noise[row : row + height, column : column + width]
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = (time // 40 if even else time), base
            for packet in stream.encode(frame):
                _shift(packet, coding.begins)
                output.mux(packet)
        for packet in stream.encode(None):
            _shift(packet, coding.begins)
            output.mux(packet)
    path.write_bytes(path.read_bytes() * coding.times)
    return path


def _shift(packet: av.Packet, milliseconds: int) -> None:
    if packet.pts is None or packet.dts is None:
        return
    by = round(Fraction(milliseconds, 1000) / packet.time_base)
    packet.pts += by
    packet.dts += by
