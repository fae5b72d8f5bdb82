"""The annotated video: H.264 in MP4, each picture at its own time."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace

from videofleet_worker.outputs.jpeg import Plane, Planes

_TICKS: Final = 90_000
"""A second, as in transport streams: pictures of any rate fall on whole numbers."""
_USUAL_SECONDS: Final = 0.04
# Pictures are analysed meanwhile: what the encoder takes, inference lacks.
_OPTIONS: Final = {"preset": "veryfast", "crf": "23", "bf": "0"}


class Film:
    """Writes pictures as they come; for one thread. The file is whole after `close`."""

    def __init__(self, path: Path) -> None:
        # The index at the front: a browser begins at once.
        self._container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream: Any = None
        self._first = 0.0
        self._waiting: Any = None
        self._duration = round(_USUAL_SECONDS * _TICKS)

    def add(self, planes: Planes, pts: float) -> None:
        """The next picture, shown from `pts` (seconds) until the one after it; its planes use 0 to 255.

        Pictures of another size than the first are scaled to it. Raises OSError where it cannot be written.
        """
        frame = _frame(planes)
        if self._stream is None:
            self._first = pts
            self._stream = self._begin(frame.width, frame.height)
        if (frame.width, frame.height) != (self._stream.width, self._stream.height):
            frame = frame.reformat(self._stream.width, self._stream.height)
        before = self._waiting
        frame.pts = round((pts - self._first) * _TICKS)
        if before is not None:
            frame.pts = max(frame.pts, before.pts + 1)
            self._duration = frame.pts - before.pts
            self._encode(before)
        self._waiting = frame

    def close(self) -> None:
        """Finish the file. The last picture is shown as long as the one before it."""
        if self._waiting is not None:
            self._encode(self._waiting)
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _begin(self, width: int, height: int) -> Any:
        stream = self._container.add_stream("libx264", options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.flags |= Flags.frame_duration
        context.color_range, context.colorspace = ColorRange.JPEG, Colorspace.ITU601
        return stream

    def _encode(self, frame: Any) -> None:
        frame.time_base, frame.duration = Fraction(1, _TICKS), self._duration
        self._container.mux(self._stream.encode(frame))


def _frame(planes: Planes) -> Any:
    """The picture for the encoder, which takes even sides only: an odd row or column is left out."""
    height, width = (side // 2 * 2 for side in planes[0].shape)
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.color_range = ColorRange.JPEG
    for target, source, scale in zip(frame.planes, planes, (1, 2, 2), strict=True):
        _copy(source[: height // scale, : width // scale], target)
    return frame


def _copy(source: Plane, target: Any) -> None:
    lines = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)
    lines[: source.shape[0], : source.shape[1]] = source
