"""Zones and lines as they are drawn: their borders, and what is written at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from videofleet_worker.outputs.jpeg import Planes

# Y, Cb and Cr, 0 to 255.
Colour = tuple[int, int, int]
Corners = tuple[tuple[float, float], ...]
Places = npt.NDArray[np.int32]

# Tracks have the colours between.
_WHITE: Colour = (255, 128, 128)
_YELLOW: Colour = (226, 1, 149)


@dataclass(frozen=True, slots=True)
class Outline:
    """A zone (`closed`) or a line: corners as shares of width and height."""

    corners: Corners
    text: str
    closed: bool

    @property
    def colour(self) -> Colour:
        """White for zones, yellow for lines."""
        return _WHITE if self.closed else _YELLOW

    def anchor(self, picture: Planes) -> tuple[float, float]:
        """Where it is written at, in pixels: a zone's highest corner, a line's middle."""
        height, width = picture[0].shape
        if self.closed:
            x, y = min(self.corners, key=lambda corner: (corner[1], corner[0]))
        else:
            x, y = (sum(values) / len(self.corners) for values in zip(*self.corners, strict=True))
        return x * width, y * height


def draw_outlines(picture: Planes, outlines: Sequence[Outline], width: int) -> None:
    """Draw the borders, so many pixels wide, into planes that are contiguous."""
    for closed in (True, False):
        alike = [outline for outline in outlines if outline.closed is closed]
        if alike:
            places = _places(tuple(outline.corners for outline in alike), closed, picture[0].shape, width)
            for plane, value, place in zip(picture, alike[0].colour, (places[0], places[1], places[1]), strict=True):
                plane.reshape(-1)[place] = value


@lru_cache(maxsize=64)
def _places(shapes: tuple[Corners, ...], closed: bool, size: tuple[int, ...], width: int) -> tuple[Places, Places]:
    """Which pixels the borders cover, and which chroma samples; they are the same in every picture."""
    height, across = size
    image = Image.new("L", (across, height))
    drawing = ImageDraw.Draw(image)
    for corners in shapes:
        points = [(x * (across - 1), y * (height - 1)) for x, y in corners]
        drawing.line(points + points[:1] if closed else points, fill=255, width=width, joint="curve")
    covered = np.asarray(image) > 0
    chroma = np.zeros(((height + 1) // 2, (across + 1) // 2), np.bool_)
    for row in (0, 1):
        for column in (0, 1):
            part = covered[row::2, column::2]
            chroma[: part.shape[0], : part.shape[1]] |= part
    return np.flatnonzero(covered).astype(np.int32), np.flatnonzero(chroma).astype(np.int32)
