"""Where a part of a frame lies in a model's image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videofleet_worker.models.manifest import ModelInput

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the frame."""
Size = tuple[int, int]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a part of a frame lies in a model's image of `size`: its corner, and pixels of the image a pixel."""

    region: Box
    size: Size
    left: int
    top: int
    across: float
    down: float

    @property
    def inner(self) -> Size:
        """Width and height of the part in the image, in pixels."""
        left, top, right, bottom = self.region
        return max(1, round((right - left) * self.across)), max(1, round((bottom - top) * self.down))

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


def place(region: Box, width: int, height: int, wanted: ModelInput) -> Placement | None:
    """Where the part of a frame of `width` x `height` inside the region goes; None where less than a pixel of it lies
    in the frame."""
    left, top = max(region[0], 0.0), max(region[1], 0.0)
    right, bottom = min(region[2], float(width)), min(region[3], float(height))
    if right - left < 1 or bottom - top < 1:
        return None
    return _place((left, top, right, bottom), wanted)


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
