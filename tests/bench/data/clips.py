"""Clips that the measurements show: the shipped one, and the same in other sizes."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av

from tests.support.cameras import CLIP

FULL_HD = (1920, 1080)
FOUR_K = (3840, 2160)


def enlarged(folder: Path, size: tuple[int, int], frames: int, rate: int = 10) -> Path:
    """The first frames of the shipped clip as a camera of another size gives them: H.264, a keyframe a second, no
    B-frames."""
    path = folder / f"{size[0]}x{size[1]}-{frames}-{rate}.mp4"
    if path.exists():
        return path
    with av.open(str(CLIP)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        options = {"preset": "veryfast", "crf": "26", "bf": "0", "g": str(rate), "tune": "zerolatency"}
        stream = target.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(itertools.islice(source.decode(video=0), frames)):
            larger = frame.reformat(*size, format="yuv420p", interpolation="BICUBIC")
            larger.pts, larger.time_base = number, Fraction(1, rate)
            target.mux(stream.encode(larger))
        target.mux(stream.encode(None))
    return path


def megabits(path: Path) -> float:
    """Bit rate of a clip in Mbit/s."""
    with av.open(str(path)) as container:
        return float(path.stat().st_size * 8 * av.time_base / container.duration / 1e6)
