"""Writing a decoded frame into a slot: planes at full resolution and the model's tensor."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from videofleet_worker.decode.ring import Plane, SlotViews

_SAME_LAYOUT = frozenset({"yuv420p", "yuvj420p"})


class PictureWriter:
    """Scales and copies frames. Keeps FFmpeg's scaling contexts, which are dear to make."""

    def __init__(self, model_width: int, model_height: int) -> None:
        self._size = (model_width, model_height)
        self._to_model = VideoReformatter()
        self._to_planes = VideoReformatter()

    def write(self, frame: VideoFrame, slot: SlotViews) -> None:
        """Fill the slot, whose planes have the size of the frame."""
        picture = frame
        if frame.format.name not in _SAME_LAYOUT:
            picture = self._to_planes.reformat(frame, format="yuv420p", threads=1)
        for plane, target in zip(picture.planes, (slot.y, slot.u, slot.v), strict=True):
            _copy(plane, target)
        self._write_tensor(frame, slot.tensor)

    def _write_tensor(self, frame: VideoFrame, tensor: Plane) -> None:
        """One call from the decoder's format and size to planar RGB at the model's: half the time of rgb24."""
        width, height = self._size
        scaled = self._to_model.reformat(frame, width, height, "gbrp", interpolation=Interpolation.BILINEAR, threads=1)
        green, blue, red = scaled.planes
        for plane, target in zip((red, green, blue), tensor, strict=True):
            _copy(plane, target)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether the frame's values use 0 to 255."""
    return frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG


def _copy(plane: VideoPlane, target: Plane) -> None:
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    height, width = target.shape
    np.copyto(target, rows[:height, :width])
