"""Privacy masks: hiding parts of a picture before anybody gets it.

Planes are 4:2:0: a chroma sample covers a cell of two by two pixels. A mask covers every cell that its polygon touches,
so that it reaches outwards over the polygon, never inwards.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from videofleet_worker.decode.ring import Plane

MAX_MASKS: Final = 16
MAX_CORNERS: Final = 32

_BLACK: Final = (16, 128, 128)
_BLACK_OF_FULL_RANGE: Final = (0, 128, 128)
_GREY: Final = (126, 128, 128)
# Side of a blurred block, as a share of the picture's shorter side: a standing person is a few blocks, a number plate
# or a face in a street is one.
_BLOCK: Final = 1 / 12
_LEAST_BLOCK: Final = 16

Planes = tuple[Plane, Plane, Plane]


@dataclass(frozen=True)
class Mask:
    """A mask: corners as shares of width and height; blurred, or else black."""

    corners: Annotated[tuple[tuple[float, float], ...], Field(min_length=3, max_length=MAX_CORNERS)]
    blur: bool = False


@dataclass(frozen=True, eq=False)
class _Area:
    """The cells of a mask: the rectangle that holds them, and which of its cells, and of its pixels, they are."""

    rows: slice
    columns: slice
    cells: npt.NDArray[np.bool_]
    pixels: npt.NDArray[np.bool_]
    blur: bool

    def parts(self, planes: Planes) -> list[tuple[Plane, npt.NDArray[np.bool_]]]:
        """Of each plane the rectangle, and which of its samples are covered."""
        luma = planes[0][2 * self.rows.start : 2 * self.rows.stop, 2 * self.columns.start : 2 * self.columns.stop]
        chroma = [(plane[self.rows, self.columns], self.cells) for plane in planes[1:]]
        # Of a picture with an odd side the last cells are cut.
        return [(luma, self.pixels[: luma.shape[0], : luma.shape[1]]), *chroma]


class MaskBurner:
    """Burns masks into pictures of one size (pixels)."""

    def __init__(self, masks: Iterable[Mask], width: int, height: int) -> None:
        """Raises ValueError for a mask whose corners are not in the picture."""
        self._areas = [_area(mask, width, height) for mask in masks]
        self._block = max(_LEAST_BLOCK, math.ceil(min(width, height) * _BLOCK / 2) * 2)

    def burn(self, planes: Planes, *, full_range: bool) -> None:
        """Cover the picture's planes: black, or in coarse blocks. Black comes last, so that it hides what lies under
        both."""
        for area in sorted(self._areas, key=lambda one: not one.blur):
            if area.blur:
                self._blur(area, planes)
            else:
                _fill(area, planes, _BLACK_OF_FULL_RANGE if full_range else _BLACK)

    def flatten(self, planes: Planes) -> None:
        """Make what was blurred one grey area: what only people may see is no more than that to a model."""
        for area in self._areas:
            if area.blur:
                _fill(area, planes, _GREY)

    def _blur(self, area: _Area, planes: Planes) -> None:
        for scale, (part, covered) in zip((1, 2, 2), area.parts(planes), strict=True):
            np.copyto(part, _in_blocks(part, self._block // scale), where=covered)


def _fill(area: _Area, planes: Planes, colour: tuple[int, int, int]) -> None:
    for value, (part, covered) in zip(colour, area.parts(planes), strict=True):
        np.copyto(part, np.uint8(value), where=covered)


def _in_blocks(part: Plane, side: int) -> Plane:
    """The picture part as blocks of their mean, each as long as `side` at least, where the part is."""
    rows, columns = (np.linspace(0, length, max(1, length // side) + 1).astype(np.int64) for length in part.shape)
    heights, widths = np.diff(rows), np.diff(columns)
    sums = np.add.reduceat(np.add.reduceat(part.astype(np.uint32), rows[:-1], axis=0), columns[:-1], axis=1)
    means: Plane = (sums // (heights[:, None] * widths)).astype(np.uint8)
    return means.repeat(heights, axis=0).repeat(widths, axis=1)


def _area(mask: Mask, width: int, height: int) -> _Area:
    cells = covered_cells(mask.corners, width, height)
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    row, column = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    own = cells[row, column]
    return _Area(row, column, own, own.repeat(2, axis=0).repeat(2, axis=1), mask.blur)


def covered_cells(corners: Sequence[tuple[float, float]], width: int, height: int) -> npt.NDArray[np.bool_]:
    """The cells of two by two pixels that a polygon touches, [(height + 1) // 2, (width + 1) // 2].

    A cell is touched where an edge of the polygon goes through it, or where the polygon holds its middle. The polygon
    is what its outline goes round, also where the outline crosses itself. Raises ValueError for corners that are not
    in the picture.
    """
    shares = np.asarray(corners, np.float64).reshape(-1, 2)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("the corners of a mask must lie in the picture, from 0 to 1")
    shape = (height + 1) // 2, (width + 1) // 2
    starts = shares * (width / 2, height / 2)
    ends = np.roll(starts, -1, axis=0)
    return _held(starts, ends, shape) | _edged(starts, ends, shape)


def _held(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """The cells [rows, columns] whose middle is inside, by the winding number: an edge that goes down adds one to all
    cells on its right, one that goes up takes one away."""
    middle = np.arange(shape[0]) + 0.5
    above, below = starts[:, 1, None] <= middle, ends[:, 1, None] <= middle
    edge, row = np.nonzero(above ^ below)
    slope = (ends[edge, 0] - starts[edge, 0]) / (ends[edge, 1] - starts[edge, 1])
    meets = starts[edge, 0] + (middle[row] - starts[edge, 1]) * slope
    first = np.clip(np.ceil(meets - 0.5), 0, shape[1]).astype(np.int64)
    turns = np.zeros((shape[0], shape[1] + 1), np.int16)
    np.add.at(turns, (row, first), np.where(above[edge, row], 1, -1))
    held: npt.NDArray[np.bool_] = turns.cumsum(axis=1)[:, :-1] != 0
    return held


def _edged(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """The cells [rows, columns] that edges go through: in each row from the leftmost to the rightmost place of each."""
    top = np.arange(shape[0])
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    edge, row = np.nonzero((low[:, None] <= top + 1) & (high[:, None] >= top))
    down = ends[edge, 1] - starts[edge, 1]
    level = down == 0
    reach = np.where(level, 1.0, down)
    # How far along the edge it comes into the row, and how far along it leaves.
    shares = np.stack(((top[row] - starts[edge, 1]) / reach, (top[row] + 1 - starts[edge, 1]) / reach))
    shares = np.clip(np.where(level, [[0.0], [1.0]], shares), 0, 1)
    across = starts[edge, 0] + shares * (ends[edge, 0] - starts[edge, 0])
    columns = np.clip(np.floor(np.sort(across, axis=0)), 0, shape[1] - 1).astype(np.int64)
    marks = np.zeros((shape[0], shape[1] + 1), np.int16)
    np.add.at(marks, (row, columns[0]), 1)
    np.add.at(marks, (row, columns[1] + 1), -1)
    edged: npt.NDArray[np.bool_] = marks.cumsum(axis=1)[:, :-1] > 0
    return edged
