"""Geometry of axis-aligned boxes in arrays of rows x1, y1, x2, y2, with x1 <= x2 and y1 <= y2."""

from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Float = TypeVar("Float", bound=np.floating[Any])

# What is divided by instead of 0: the least number of single precision.
_NO_AREA: Final = float(np.finfo(np.float32).tiny)

# Of the edges of a box, the one across from each.
_OPPOSITE: Final = np.array([2, 3, 0, 1])


def iou_matrix(first: npt.NDArray[Float], second: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Intersection over union of every box of [n, 4] with every box of [m, 4], as [n, m] in 0..1.

    Two boxes without any area have an overlap of 0.
    """
    edges = edges_of(first)
    return _overlaps(edges, edges if second is first else edges_of(second))


def edges_of(boxes: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Boxes [n, 4] as an array [4, n] of -x1, -y1, x2, y2: the farther out an edge is, the greater its number.

    So the lesser of two boxes' numbers is that of what they share, whichever edge it is, and a side's length is the sum
    of two: half as many calls of NumPy, each of which costs as much as the arithmetic of a thousand pairs.
    """
    edges: npt.NDArray[Float] = boxes.T.copy()
    np.negative(edges[:2], out=edges[:2])
    return edges


def _areas(edges: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """The areas [n] of boxes given by their edges."""
    sides = edges[2:] + edges[:2]
    area: npt.NDArray[Float] = sides[0] * sides[1]
    return area


def overlapping(
    first: npt.NDArray[Float], second: npt.NDArray[Float], least: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[Float]]:
    """The pairs of boxes of [n, 4] and [m, 4] whose overlap is at least `least`, above 0: rows, columns, overlaps."""
    return edges_overlapping(edges_of(first), edges_of(second), least)


def edges_overlapping(
    first: npt.NDArray[Float], second: npt.NDArray[Float], least: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[Float]]:
    """The same of boxes given by their edges, [4, n] and [4, m]."""
    # Of all pairs few touch each other, and to see which takes no arithmetic.
    beyond = first[:, :, None] > -second[_OPPOSITE][:, None]
    touching = np.logical_and.reduce(beyond, axis=0)
    places: npt.NDArray[np.intp] = touching.ravel().nonzero()[0]
    rows, columns = np.divmod(places, second.shape[1])
    one: npt.NDArray[Float] = first.take(rows, axis=1)
    other: npt.NDArray[Float] = second.take(columns, axis=1)
    overlap = _paired_iou(one, other)
    enough = overlap >= least
    return rows[enough], columns[enough], overlap[enough]


def _overlaps(first: npt.NDArray[Float], second: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Intersection over union of every box with every other, [n, m]."""
    # In place: several times faster than with an array for each result.
    inner: npt.NDArray[Float] = np.minimum(first[:, :, None], second[:, None])
    length = inner[:2]
    length += inner[2:]
    np.maximum(length, 0, out=length)
    shared: npt.NDArray[Float] = length[0]
    union: npt.NDArray[Float] = length[1]
    shared *= union
    np.add(_areas(first)[:, None], _areas(second), out=union)
    union -= shared
    np.maximum(union, _NO_AREA, out=union)
    shared /= union
    return shared


def _paired_iou(first: npt.NDArray[Float], second: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Intersection over union of each box with the one of the same place, [n]."""
    inner = np.minimum(first, second)
    length = inner[2:] + inner[:2]
    np.maximum(length, 0, out=length)
    shared: npt.NDArray[Float] = length[0] * length[1]
    shared /= np.maximum(_areas(first) + _areas(second) - shared, _NO_AREA)
    return shared


def grown(edges: npt.NDArray[Float], share: float) -> npt.NDArray[Float]:
    """Boxes [4, n] given by their edges, with so great a share of their width and height added on each side."""
    margin = (edges[2:] + edges[:2]) * share
    return np.concatenate((edges[:2] + margin, edges[2:] + margin))
