"""What a frame shows of the objects that are followed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videofleet_worker.analytics.geometry import BoolArray, FloatArray

IntArray = npt.NDArray[np.int64]

_MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Sighting:
    """The followed objects of a frame: `rows` are their places in tables of all that are known.

    places: [n, 2] where each stands, the middle of its box's lower edge, in pixels. margins: [n] in pixels, how far
    beyond a border an object is surely on the other side; a box of one that stands still trembles by less. size: width
    and height of the frame. pts: its time in seconds.
    """

    rows: IntArray
    ids: Sequence[int]
    labels: Sequence[str]
    places: FloatArray
    margins: FloatArray
    size: tuple[int, int]
    pts: float


def standing_places(boxes: FloatArray) -> FloatArray:
    """Where the objects with these boxes [n, 4] stand, as [n, 2]."""
    return np.stack(((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), axis=1)


def margins(boxes: FloatArray) -> FloatArray:
    """How much the places of objects with these boxes [n, 4] may tremble, as [n]: a twentieth of a box's diagonal."""
    margin: FloatArray = _MARGIN * np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return margin


def wanted(labels: Sequence[str], classes: Sequence[frozenset[str] | None]) -> BoolArray:
    """Whether each object, by its label, counts for each region, by its classes, as [n, regions]."""
    picked = [[each is None or label in each for each in classes] for label in labels]
    return np.array(picked, np.bool_).reshape(len(labels), len(classes))
