"""Writing a decoded frame into a slot: planes at full resolution and the model's tensor."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from videofleet_api.codes import ErrorCode
from videofleet_worker.colours import Matrix, usual_matrix
from videofleet_worker.decode.masks import Mask, MaskBurner
from videofleet_worker.decode.ring import Plane, SlotViews
from videofleet_worker.sources.errors import SourceError

_SAME_LAYOUT = frozenset({"yuv420p", "yuvj420p"})
# What these are scaled to before they are made RGB.
_BETWEEN = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
# By FFmpeg's number (ITU-T H.273, MatrixCoefficients); 2 is for what is not known.
_MATRICES: Final[dict[int, Matrix]] = {
    **dict.fromkeys((1, 7), "bt709"),
    **dict.fromkeys((4, 5, 6), "bt601"),
    **dict.fromkeys((9, 10), "bt2020"),
}
_SPACES: Final[dict[Matrix, Colorspace]] = {
    "bt601": Colorspace.ITU601,
    "bt709": Colorspace.ITU709,
    "bt2020": Colorspace.BT2020,
}
# The mean of the pixels that one pixel covers: half the taps of BILINEAR, which takes twice as many.
_FILTER = Interpolation.AREA


class PictureWriter:
    """Scales and copies frames. Keeps FFmpeg's scaling contexts, which are dear to make."""

    def __init__(self, model_width: int, model_height: int) -> None:
        self._size = (model_width, model_height)
        self._to_size = VideoReformatter()
        self._to_rgb = VideoReformatter()
        self._to_planes = VideoReformatter()
        self._masks: tuple[Mask, ...] = ()
        self._burner: tuple[tuple[int, int], MaskBurner] | None = None

    def use(self, masks: Iterable[Mask]) -> None:
        """Burn these masks into all pictures from the next one on."""
        self._masks, self._burner = tuple(masks), None

    def write(self, frame: VideoFrame, slot: SlotViews) -> None:
        """Fill the slot, whose planes have the size of the frame. Raises SourceError when it cannot be masked."""
        picture = frame
        if frame.format.name not in _SAME_LAYOUT:
            picture = self._to_planes.reformat(frame, format="yuv420p", **_kept(frame), threads=1)
        for plane, target in zip(picture.planes, (slot.y, slot.u, slot.v), strict=True):
            _copy(plane, target)
        self._write_tensor(self._masked(picture, slot) if self._masks else frame, slot.tensor)

    def _masked(self, picture: VideoFrame, slot: SlotViews) -> VideoFrame:
        """Burn the masks into the slot's planes; a frame made from these, for the model.

        The decoder still needs its own frame, others are made from it. What the model gets comes from masked planes
        alone, so that scaling cannot mix in what lies under a mask.
        """
        planes = (slot.y, slot.u, slot.v)
        try:
            burner = self._burner_for(picture)
            burner.burn(planes, full_range=is_full_range(picture))
            masked = VideoFrame(picture.width, picture.height, picture.format.name)
            masked.color_range = ColorRange.JPEG if is_full_range(picture) else ColorRange.MPEG
            masked.colorspace = _SPACES[matrix_of(picture)]
            own = [
                _rows(plane)[: part.shape[0], : part.shape[1]]
                for plane, part in zip(masked.planes, planes, strict=True)
            ]
            for target, part in zip(own, planes, strict=True):
                np.copyto(target, part)
            burner.flatten((own[0], own[1], own[2]))
        except Exception as error:
            # Whatever it is: a picture that may show what must not be seen goes nowhere.
            message = f"privacyMasks cannot be burnt into the picture ({type(error).__name__}: {error})"
            raise SourceError(ErrorCode.INTERNAL, message) from error
        return masked

    def _burner_for(self, picture: VideoFrame) -> MaskBurner:
        size = (picture.width, picture.height)
        if self._burner is None or self._burner[0] != size:
            self._burner = size, MaskBurner(self._masks, *size)
        return self._burner[1]

    def _write_tensor(self, frame: VideoFrame, tensor: Plane) -> None:
        """Planar RGB at the model's size.

        swscale has a fast way to planar RGB only where the size stays. So what is 4:2:0 is scaled first, to 4:2:2 that
        more of the colours stay: half the time of one call, and nearer to what an exact filter gives.
        """
        width, height = self._size
        space = _SPACES[matrix_of(frame)]
        if between := _BETWEEN.get(frame.format.name):
            frame = self._to_size.reformat(frame, width, height, between, space, space, _FILTER, threads=1)
        scaled = self._to_rgb.reformat(frame, width, height, "gbrp", space, interpolation=_FILTER, threads=1)
        green, blue, red = scaled.planes
        for plane, target in zip((red, green, blue), tensor, strict=True):
            _copy(plane, target)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether the frame's values use 0 to 255."""
    return frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG


def matrix_of(frame: VideoFrame) -> Matrix:
    """By what its planes were made, or are made here of RGB; where it does not say, by the one that is usual."""
    if frame.format.is_rgb:
        return "bt601"
    return _MATRICES.get(int(frame.colorspace)) or usual_matrix(frame.width, frame.height)


def _kept(frame: VideoFrame) -> dict[str, Any]:
    """Colours stay coded as they are when their layout changes; swscale would make broadcast range of them."""
    space, tones = _SPACES[matrix_of(frame)], ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG
    return {"src_colorspace": space, "dst_colorspace": space, "dst_color_range": tones}


def _copy(plane: VideoPlane, target: Plane) -> None:
    height, width = target.shape
    np.copyto(target, _rows(plane)[:height, :width])


def _rows(plane: VideoPlane) -> Plane:
    """The plane's memory, row by row, with what fills the rows up."""
    return np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
