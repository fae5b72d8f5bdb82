"""Geometry of axis-aligned boxes in arrays of rows x1, y1, x2, y2, with x1 <= x2 and y1 <= y2."""

from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Float = TypeVar("Float", bound=np.floating[Any])

# What is divided by instead of 0: the least number of single precision.
_NO_AREA: Final = float(np.finfo(np.float32).tiny)

# Up to so many pairs each one's overlap is worked out; measured.
_FEW_PAIRS: Final = 4096


def iou_matrix(first: npt.NDArray[Float], second: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Intersection over union of every box of [n, 4] with every box of [m, 4], as [n, m] in 0..1.

    Two boxes without any area have an overlap of 0.
    """
    # Coordinate by coordinate, across and down together, and in place: several times faster than arrays [n, m, 2].
    low, high = np.ascontiguousarray(first.T).reshape(2, 2, -1, 1)
    other_low, other_high = np.ascontiguousarray(second.T).reshape(2, 2, 1, -1)
    length: npt.NDArray[Float] = np.minimum(high, other_high)
    length -= np.maximum(low, other_low)
    np.maximum(length, 0, out=length)
    shared: npt.NDArray[Float] = length[0]
    union: npt.NDArray[Float] = length[1]
    shared *= union
    size, other_size = high - low, other_high - other_low
    np.add(size[0] * size[1], other_size[0] * other_size[1], out=union)
    union -= shared
    np.maximum(union, _NO_AREA, out=union)
    shared /= union
    return shared


def overlapping(
    first: npt.NDArray[Float], second: npt.NDArray[Float], least: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[Float]]:
    """The pairs of boxes of [n, 4] and [m, 4] whose overlap is at least `least`, above 0: rows, columns, overlaps."""
    if len(first) * len(second) <= _FEW_PAIRS:
        matrix = iou_matrix(first, second)
        rows, columns = (matrix >= least).nonzero()
        return rows, columns, matrix[rows, columns]
    # Of many boxes few touch each other, and to see which takes no arithmetic.
    left, top, right, bottom = np.ascontiguousarray(first.T)[:, :, None]
    other_left, other_top, other_right, other_bottom = np.ascontiguousarray(second.T)
    touching = left < other_right
    touching &= right > other_left
    touching &= top < other_bottom
    touching &= bottom > other_top
    rows, columns = np.divmod(np.flatnonzero(touching), len(second))
    overlap = _paired_iou(first[rows], second[columns])
    enough = overlap >= least
    return rows[enough], columns[enough], overlap[enough]


def _paired_iou(first: npt.NDArray[Float], second: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Intersection over union of each box with the one of the same row, [n]; all of them touch."""
    length = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    size, other_size = first[:, 2:] - first[:, :2], second[:, 2:] - second[:, :2]
    shared: npt.NDArray[Float] = length[:, 0] * length[:, 1]
    union = size[:, 0] * size[:, 1] + other_size[:, 0] * other_size[:, 1] - shared
    shared /= np.maximum(union, _NO_AREA)
    return shared


def grown(boxes: npt.NDArray[Float], share: float) -> npt.NDArray[Float]:
    """The boxes [n, 4] with so great a share of their width and height added on each side."""
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate((boxes[:, :2] - margin, boxes[:, 2:] + margin), axis=1)
