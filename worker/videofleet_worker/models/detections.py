"""What a detection model found in one image, and what a step asks it for."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
_FEW_CLASSES: Final = 8
Mask = npt.NDArray[np.bool_] | IntArray


@dataclass(frozen=True)
class DetectionQuery:
    """What counts as found: the least score, the greatest overlap of two boxes of one class, and the classes wanted.

    `class_ids` None means every class; an empty tuple means none.
    """

    confidence: float
    iou: float
    class_ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for field, value in (("confidence", self.confidence), ("iou", self.iou)):
            if not 0 <= value <= 1:
                raise ValueError(f"{field} is {value}, and must be from 0 to 1")


@dataclass(frozen=True, eq=False)
class RawDetections:
    """A model's whole answer for one image: boxes [a, 4] as x1, y1, x2, y2 in the model's pixels, scores [a, c]."""

    boxes: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects found in one image, best score first.

    `boxes` [n, 4] are x1, y1, x2, y2 as shares of the image's width and height (0..1), `scores` [n] are 0..1,
    `classes` [n] are indices of the model's labels.
    """

    boxes: FloatArray
    scores: FloatArray
    classes: IntArray

    @classmethod
    def none(cls) -> Self:
        """Nothing found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, which: Mask) -> "Detections":
        """Those that a mask or an index picks, in its order."""
        return Detections(self.boxes[which], self.scores[which], self.classes[which])

    def with_area(self) -> "Detections":
        """Those whose box has one."""
        size = self.boxes[:, 2:] - self.boxes[:, :2]
        if np.minimum.reduce(size, axis=None, initial=1) > 0:
            return self
        return self.select((size[:, 0] > 0) & (size[:, 1] > 0))

    def scaled(self, width: float, height: float) -> FloatArray:
        """The boxes [n, 4] for an image of the given size: its pixels, or any other unit."""
        return self.boxes * np.array([width, height, width, height], np.float32)


def one_of(classes: IntArray, wanted: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which of the classes [n] are wanted. Few are compared one by one: `np.isin` takes several times as long."""
    if len(wanted) > _FEW_CLASSES:
        return np.isin(classes, list(wanted))
    mask: npt.NDArray[np.bool_] = np.zeros(len(classes), np.bool_)
    for one in wanted:
        mask |= classes == one
    return mask
