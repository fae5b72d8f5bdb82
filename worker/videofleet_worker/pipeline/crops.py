"""Pictures for models, cut from a frame at full resolution and scaled in one go."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from videofleet_worker.models.detections import FloatArray
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.models.runner import Images
from videofleet_worker.outputs.jpeg import Planes, full_range_copy

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the frame."""
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a part of a frame lies in a model's image of `size`: its corner, and pixels of the image a pixel."""

    region: Box
    size: Size
    left: int
    top: int
    across: float
    down: float

    def in_frame(self, boxes: FloatArray) -> FloatArray:
        """Boxes [n, 4] in shares of the model's image as pixels of the frame, cut at the edges of the part."""
        width, height = self.size
        x = np.clip(self.region[0] + (boxes[:, 0::2] * width - self.left) / self.across, self.region[0], self.region[2])
        y = np.clip(self.region[1] + (boxes[:, 1::2] * height - self.top) / self.down, self.region[1], self.region[3])
        placed: FloatArray = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype(np.float32)
        return placed

    def in_shares(self, boxes: FloatArray, width: int, height: int) -> FloatArray:
        """The same as shares of a frame of this size."""
        return self.in_frame(boxes) * np.array([1 / width, 1 / height] * 2, np.float32)


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a frame as a model takes it: RGB [3, height, width], and where it comes from."""

    image: Images
    placement: Placement


def cut(planes: Planes, region: Box, wanted: ModelInput, *, full_range: bool) -> Crop | None:
    """The part of a frame inside the region; None where less than a pixel of it lies in the frame.

    `full_range`: whether the planes use all values from 0 to 255.
    """
    height, width = planes[0].shape
    left, top = max(region[0], 0.0), max(region[1], 0.0)
    right, bottom = min(region[2], float(width)), min(region[3], float(height))
    if right - left < 1 or bottom - top < 1:
        return None
    placement = _place((left, top, right, bottom), wanted)
    across, down = placement.across, placement.down
    inner = max(1, round((right - left) * across)), max(1, round((bottom - top) * down))
    picture = _scaled(planes, placement.region, inner, full_range=full_range)
    if inner == placement.size:
        return Crop(np.ascontiguousarray(picture), placement)
    image = np.full((3, placement.size[1], placement.size[0]), wanted.padding, np.uint8)
    image[:, placement.top : placement.top + inner[1], placement.left : placement.left + inner[0]] = picture
    return Crop(image, placement)


def _place(region: Box, wanted: ModelInput) -> Placement:
    """The smallest size of the model that shrinks the region no more than the largest would; and where in it."""
    width, height = region[2] - region[0], region[3] - region[1]

    def scale_at(size: Size) -> float:
        return min(1.0, size[0] / width, size[1] / height)

    size = next(one for one in wanted.sizes if scale_at(one) >= scale_at(wanted.sizes[-1]))
    across, down = size[0] / width, size[1] / height
    if wanted.fit == "stretch":
        return Placement(region, size, 0, 0, across, down)
    scale = min(across, down)
    left, top = (size[0] - round(width * scale)) // 2, (size[1] - round(height * scale)) // 2
    if wanted.fit == "corner":
        left = top = 0
    return Placement(region, size, left, top, scale, scale)


def _scaled(planes: Planes, region: Box, size: Size, *, full_range: bool) -> Images:
    """Each plane is cut and scaled by itself, so that colours are converted only where they are needed."""
    scaled = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box=_inside(plane, region, step)))
        for plane, step in zip(planes, (1, 2, 2), strict=True)
    ]
    full = full_range_copy((scaled[0], scaled[1], scaled[2]), full_range=full_range)
    rgb = Image.merge("YCbCr", [Image.fromarray(plane) for plane in full]).convert("RGB")
    return np.asarray(rgb).transpose(2, 0, 1)


def _inside(plane: Images, region: Box, step: int) -> Box:
    """The region in pixels of a plane that has one for `step` pixels of the frame."""
    height, width = plane.shape
    left, top = min(region[0] / step, width - 0.5), min(region[1] / step, height - 0.5)
    return left, top, min(region[2] / step, width), min(region[3] / step, height)
