"""Clips that the measurements show: the shipped one, and the same in other sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import Colorspace

from tests.support.cameras import CLIP

FULL_HD = (1920, 1080)
FOUR_K = (3840, 2160)


def enlarged(
    folder: Path, size: tuple[int, int], frames: int, rate: int = 10, *, keyframe_every: int = 0, b_frames: int = 0
) -> Path:
    """So many frames of the shipped clip, again and again, as a camera of another size gives them: H.264, a keyframe a
    second or every so many frames."""
    every = keyframe_every or rate
    path = folder / f"{size[0]}x{size[1]}-{frames}-{rate}-{every}-{b_frames}.mp4"
    if path.exists():
        return path
    options = {"preset": "veryfast", "crf": "26", "bf": str(b_frames), "g": str(every), "sc_threshold": "0"}
    with av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream(
            "libx264", rate=rate, options=options if b_frames else options | {"tune": "zerolatency"}
        )
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        # The shipped clip's planes only grow. Untagged, they would be BT.709 at this size, and peers that take all for
        # BT.601 would see other colours.
        stream.codec_context.colorspace = Colorspace.ITU601
        for number, frame in enumerate(itertools.islice(_endless(), frames)):
            larger = frame.reformat(*size, format="yuv420p", interpolation="BICUBIC")
            larger.pts, larger.time_base = number, Fraction(1, rate)
            larger.pict_type = av.video.frame.PictureType.NONE
            target.mux(stream.encode(larger))
        target.mux(stream.encode(None))
    return path


def _endless() -> Iterator[av.VideoFrame]:
    while True:
        with av.open(str(CLIP)) as source:
            yield from source.decode(video=0)


def megabits(path: Path) -> float:
    """Bit rate of a clip in Mbit/s."""
    with av.open(str(path)) as container:
        return float(path.stat().st_size * 8 * av.time_base / container.duration / 1e6)
