"""Pictures with what was found drawn in: a box, and a label such as `person 12 0.83`, in the track's colour.

The zones and lines that are watched are drawn, too.
"""

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from videofleet_worker.colours import Matrix
from videofleet_worker.outputs.jpeg import Plane, Planes, full_range_copy
from videofleet_worker.outputs.outlines import Colour, Outline, draw_outlines

# Left, top, right and bottom in pixels.
Box = tuple[float, float, float, float]
# The same, all even.
Area = tuple[int, int, int, int]

_UNTRACKED: Colour = (225, 128, 128)
_BLACK: Colour = (0, 128, 128)
_WHITE: Colour = (255, 128, 128)
# Multiples of the golden ratio spread hues evenly, however many there are.
_GOLDEN_RATIO = 0.618033988749895


@dataclass(frozen=True)
class Mark:
    """An object to draw: `box` as x1, y1, x2, y2 in pixels of the picture, `track_id` 0 where it has none."""

    box: Box
    label: str
    confidence: float
    track_id: int = 0

    @property
    def text(self) -> str:
        """What is written at the box."""
        number = f" {self.track_id}" if self.track_id else ""
        return f"{self.label}{number} {self.confidence:.2f}"


def annotate(
    planes: Planes,
    marks: Iterable[Mark],
    *,
    full_range: bool,
    matrix: Matrix = "bt601",
    outlines: Sequence[Outline] = (),
) -> Planes:
    """A copy of the planes (4:2:0) with the marks and outlines drawn in, as JPEG has them.

    `full_range` and `matrix` tell of the planes given, see full_range_copy. Marks that reach past the picture are cut.
    """
    picture = full_range_copy(planes, full_range=full_range, matrix=matrix)
    drawn = list(marks)
    draw_outlines(picture, outlines, _line_width(picture))
    # All boxes first, so that no label is crossed out by another object's box.
    for mark in drawn:
        _draw_box(picture, mark)
    taken: list[Area] = []
    for outline in outlines:
        taken.append(_draw_label(picture, outline.text, outline.anchor(picture) * 2, outline.colour, taken))
    for mark in drawn:
        taken.append(_draw_label(picture, mark.text, mark.box, track_colour(mark.track_id), taken))
    return picture


def track_colour(track_id: int) -> Colour:
    """The colour of a track, the same in every picture; a light grey for 0."""
    if track_id == 0:
        return _UNTRACKED
    red, green, blue = colorsys.hsv_to_rgb((track_id * _GOLDEN_RATIO) % 1, 0.85, 1.0)
    # RGB to YCbCr as JFIF has it (ITU-T T.871).
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(255 * y), round(128 + 127 * (blue - y) / 0.886), round(128 + 127 * (red - y) / 0.701)


def _draw_box(picture: Planes, mark: Mark) -> None:
    left, top, right, bottom = (_even(side) for side in mark.box)
    colour, line = track_colour(mark.track_id), _line_width(picture)
    _fill(picture, (left, top, right, top + line), colour)
    _fill(picture, (left, bottom - line, right, bottom), colour)
    _fill(picture, (left, top, left + line, bottom), colour)
    _fill(picture, (right - line, top, right, bottom), colour)


def _draw_label(picture: Planes, text: str, box: Box, colour: Colour, taken: list[Area]) -> Area:
    """Write a text beside a box where no other label lies, if there is such a place; where it was written."""
    mask = _text_mask(text, max(12, round(picture[0].shape[0] / 46)))
    area = _label_area(box, mask.shape, picture[0].shape, taken)
    _fill(picture, area, colour)
    _blend(picture, area[0], area[1], mask, _BLACK if colour[0] > 110 else _WHITE)
    return area


def _label_area(box: Box, size: tuple[int, ...], picture: tuple[int, ...], taken: list[Area]) -> Area:
    """The first free place of: above the box by its left or right side, below it likewise, inside; else the first."""
    left, top, right, bottom = (_even(side) for side in box)
    height, width = size
    corners = [(x, y) for y in (top - height, bottom, top) for x in (left, right - width)]
    areas = [_moved_inside((x, y, x + width, y + height), picture) for x, y in corners]
    return next((area for area in areas if not any(_touch(area, other) for other in taken)), areas[0])


def _moved_inside(area: Area, picture: tuple[int, ...]) -> Area:
    """The area moved into a picture [height, width] as far as it fits; its corner stays even."""
    left, top, right, bottom = area
    x = max(min(left, (picture[1] - (right - left)) // 2 * 2), 0)
    y = max(min(top, (picture[0] - (bottom - top)) // 2 * 2), 0)
    return x, y, x + right - left, y + bottom - top


def _touch(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _line_width(picture: Planes) -> int:
    height: int = picture[0].shape[0]
    return 2 * max(1, round(height / 540))


def _even(value: float) -> int:
    """The nearest even number: a chroma sample covers two pixels."""
    return 2 * round(value / 2)


def _fill(picture: Planes, area: Area, colour: Colour) -> None:
    """Paint the part of an area that lies inside the picture."""
    left, top, right, bottom = (max(side, 0) for side in area)
    for plane, value, scale in zip(picture, colour, (1, 2, 2), strict=True):
        plane[top // scale : bottom // scale, left // scale : right // scale] = value


def _blend(picture: Planes, left: int, top: int, mask: Plane, ink: Colour) -> None:
    """Lay ink over the picture from an even corner on, as thick as the mask says (0 none, 255 all)."""
    for plane, value, scale in zip(picture, ink, (1, 2, 2), strict=True):
        part = mask[::scale, ::scale]
        target = plane[top // scale :, left // scale :][: part.shape[0], : part.shape[1]]
        share = part[: target.shape[0], : target.shape[1]].astype(np.int32)
        target[:] = (target * (255 - share) + value * share + 127) // 255


@lru_cache(maxsize=512)
def _text_mask(text: str, size: int) -> Plane:
    """The text in a frame of its own, sides even; 255 where there is ink. Shared: do not write to it."""
    font = _font(size)
    left, _, right, _ = font.getbbox(text)
    # The height of any letter, so that all labels of one size are equally high.
    _, top, _, bottom = font.getbbox("Ag|")
    pad = max(2, size // 6)
    shape = (round(right - left) + 2 * pad, round(bottom - top) + pad)
    image = Image.new("L", (shape[0] + shape[0] % 2, shape[1] + shape[1] % 2))
    ImageDraw.Draw(image).text((pad - left, pad // 2 - top), text, fill=255, font=font)
    mask: npt.NDArray[np.uint8] = np.asarray(image)
    return mask


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font for a height of letters. Kept: to make it takes as long as to write a label."""
    return ImageFont.load_default(size)
