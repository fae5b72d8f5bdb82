"""A clip as a list of H.264 access units, ready to be sent again and again without decoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .gst import GLib, Gst

NANOSECONDS = 1_000_000_000
_POLL_NS = NANOSECONDS // 20


class ClipError(Exception):
    """The file is not a clip that can be played; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class AccessUnit:
    """One coded picture in byte-stream form; keyframes carry their parameter sets."""

    data: Any  # GLib.Bytes, shared by every buffer that sends this picture
    keyframe: bool


@dataclass(frozen=True)
class Clip:
    """The pictures of a clip in the order of sending, at one constant rate."""

    units: tuple[AccessUnit, ...]
    frame_ns: int
    caps: str

    def keyframe_before(self, index: int) -> int:
        """The last keyframe at or before `index`, which is taken modulo the length of the clip."""
        index %= len(self.units)
        return max(i for i in range(index + 1) if self.units[i].keyframe)


def load_clip(path: Path) -> Clip:
    """Reads an MP4 file with H.264 in it.

    Raises ClipError when the file is missing, holds no H.264, uses B-frames, or starts with something other than a
    keyframe: the loop point would then not be seamless.
    """
    if not path.is_file():
        raise ClipError(f"{path}: no such file; give an MP4 file with H.264")
    samples = list(_samples(path))
    if not samples:
        raise ClipError(f"{path}: no H.264 video found; give an MP4 file with H.264")
    caps = samples[0].get_caps().get_structure(0)
    buffers = [sample.get_buffer() for sample in samples]
    if any(buffer.pts != buffer.dts for buffer in buffers if buffer.dts != Gst.CLOCK_TIME_NONE):
        raise ClipError(f"{path}: has B-frames; encode it without them (x264: bf=0)")
    units = tuple(_access_unit(buffer) for buffer in buffers)
    if not units[0].keyframe:
        raise ClipError(f"{path}: does not start with a keyframe")
    _, numerator, denominator = caps.get_fraction("framerate")
    if not numerator:
        raise ClipError(f"{path}: has no constant frame rate")
    kept = [f"{name}=(string){caps.get_string(name)}" for name in ("profile", "level") if caps.has_field(name)]
    size = [f"{name}=(int){caps.get_int(name)[1]}" for name in ("width", "height")]
    fields = ["video/x-h264", "stream-format=byte-stream", "alignment=au", *size, *kept]
    fields.append(f"framerate=(fraction){numerator}/{denominator}")
    return Clip(units=units, frame_ns=NANOSECONDS * denominator // numerator, caps=",".join(fields))


def _samples(path: Path) -> Iterator[Any]:
    """Every access unit of the file as a Gst.Sample."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! qtdemux ! h264parse config-interval=-1"
        " ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false max-buffers=16"
    )
    pipeline.get_by_name("file").set_property("location", str(path))
    units, bus = pipeline.get_by_name("units"), pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    try:
        while not units.get_property("eos"):
            sample = units.emit("try-pull-sample", _POLL_NS)
            if sample is not None:
                yield sample
            # A broken file ends in an error on the bus, and the sink then waits for ever.
            elif (error := bus.pop_filtered(Gst.MessageType.ERROR)) is not None:
                raise ClipError(f"{path}: cannot be read: {error.parse_error()[0].message}")
    finally:
        pipeline.set_state(Gst.State.NULL)


def _access_unit(buffer: Any) -> AccessUnit:
    data = GLib.Bytes.new(buffer.extract_dup(0, buffer.get_size()))
    return AccessUnit(data=data, keyframe=not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT))
