"""Small clips whose pictures say their number: frame n is a flat grey of brightness 16 + 3n."""

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

STEP = 3
BLACK = 16


@dataclass(frozen=True)
class ClipSpec:
    """What a clip looks like."""

    frames: int = 30
    width: int = 64
    height: int = 48
    fps: int = 10
    gop: int = 10
    codec: str = "libx264"
    container: str = "mp4"
    pixels: str = "yuv420p"


def brightness(index: int) -> int:
    """The brightness of every pixel of a frame."""
    return BLACK + STEP * index


def index_of(mean: float) -> int:
    """The number of the frame whose picture has this mean brightness."""
    return round((mean - BLACK) / STEP)


def make_clip(path: Path, spec: ClipSpec = ClipSpec()) -> Path:
    """Write a clip with its index at the front."""
    # faststart reads the file again, so it cannot be made in memory.
    options = {"movflags": "faststart"} if spec.container == "mp4" else {}
    with av.open(str(path), "w", format=spec.container, options=options) as output:
        stream = encoded_by(output, spec)
        for index in range(spec.frames):
            output.mux(stream.encode(picture(index, spec)))
        output.mux(stream.encode(None))
    return path


def cut_in_frame(path: Path, index: int) -> None:
    """Cut a file off in the middle of a frame's data."""
    start, size = _find_frame(path, index)
    path.write_bytes(path.read_bytes()[: start + size // 2])


def damage_frame(path: Path, index: int) -> None:
    """Overwrite the data of a frame."""
    start, size = _find_frame(path, index)
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)


def _find_frame(path: Path, index: int) -> tuple[int, int]:
    with av.open(str(path)) as clip:
        packet = [packet for packet in clip.demux(video=0) if packet.size][index]
        assert packet.pos is not None
        return packet.pos, packet.size


def encode_audio() -> bytes:
    """A file with sound and no picture."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def picture(index: int, spec: ClipSpec) -> av.VideoFrame:
    """Frame `index` of a clip, with its timestamp."""
    planes = np.full((spec.height * 3 // 2, spec.width), 128, np.uint8)
    planes[: spec.height] = brightness(index)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=spec.pixels)
    frame.pts, frame.time_base = index, Fraction(1, spec.fps)
    return frame


def encoded_by(output: av.container.OutputContainer, spec: ClipSpec) -> VideoStream:
    """A clip's stream in a container, which encodes its pictures."""
    stream = output.add_stream(spec.codec, rate=spec.fps)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, spec.pixels
    stream.codec_context.gop_size = spec.gop
    if spec.codec == "libx264":
        # No B-frames, no keyframes but every gop-th.
        stream.options = {"preset": "ultrafast", "bf": "0", "sc_threshold": "0", "crf": "10"}
    elif spec.codec == "mpeg4":
        stream.options = {"qmin": "1", "qmax": "1"}
    elif spec.codec == "mjpeg":
        # As RTP takes it (RFC 2435): several threads would set marks for a new start between rows.
        stream.codec_context.thread_count = 1
        stream.options = {"huffman": "default", "force_duplicated_matrix": "1", "qmin": "1", "qmax": "1"}
    elif spec.codec == "libx265":
        stream.options = {"x265-params": "log-level=none:bframes=0", "preset": "ultrafast"}
    return stream
