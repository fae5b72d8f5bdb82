"""The contact sheet: the best picture of each track, with its number, class and times."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

MOST: Final = 200
"""Tracks on a sheet."""
_CELL: Final = (176, 240)
_CAPTION: Final = 40
_GAP: Final = 8
_MOST_ACROSS: Final = 10
_PAPER, _INK, _FAINT = (24, 26, 30), (240, 240, 240), (160, 166, 176)
_QUALITY: Final = 88


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture (JPEG) and the two lines below it."""

    jpeg: bytes
    title: str
    below: str


def draw_sheet(entries: Sequence[Entry], path: Path) -> None:
    """Write the sheet as JPEG; there must be at least one entry. Raises OSError."""
    shown = entries[:MOST]
    across = min(_MOST_ACROSS, math.ceil(math.sqrt(len(shown) * 1.5)))
    down = math.ceil(len(shown) / across)
    width, height = _CELL[0] + _GAP, _CELL[1] + _GAP
    sheet = Image.new("RGB", (across * width + _GAP, down * height + _GAP), _PAPER)
    for at, entry in enumerate(shown):
        _draw(sheet, entry, _GAP + at % across * width, _GAP + at // across * height)
    sheet.save(path, "JPEG", quality=_QUALITY)


def _draw(sheet: Image.Image, entry: Entry, left: int, top: int) -> None:
    width, height = _CELL[0], _CELL[1] - _CAPTION
    with Image.open(io.BytesIO(entry.jpeg)) as picture:
        scale = min(width / picture.width, height / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        shown = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    sheet.paste(shown, (left + (width - shown.width) // 2, top + (height - shown.height) // 2))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for line, text, colour in ((0, entry.title, _INK), (1, entry.below, _FAINT)):
        pen.text((left, top + height + 4 + 17 * line), _cut(text, font, width), fill=colour, font=font)


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of the text as fits."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
