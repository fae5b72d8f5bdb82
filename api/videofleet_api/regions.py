"""Parts of the picture: zones and lines that are watched, and privacy masks.

Places are shares of the picture's width and height, so that they stay right when the resolution changes.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules

MAX_CORNERS: Final = 32
MAX_REGIONS: Final = 16
"""Zones, lines and masks of a job, of each kind."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Point(Document):
    """A place in the picture."""

    x: Share = Field(description="Share of the picture's width, 0 at the left edge, 1 at the right one.")
    y: Share = Field(description="Share of the picture's height, 0 at the top, 1 at the bottom.")


LEAST_SPREAD: Final = 1e-6
"""Twice the area, as a share of the picture's, that three of a polygon's corners must span at least."""

# Of three corners one may be the first, whichever they are: if all triangles with it are flat, all corners lie on one
# line. The sign of the product changes when the other two change places, so one comparison is enough.
_HAS_AREA = (
    "self.polygon.size() < 3 || self.polygon.exists(p, self.polygon.exists(q, "
    "(p.x - self.polygon[0].x) * (q.y - self.polygon[0].y) - "
    "(q.x - self.polygon[0].x) * (p.y - self.polygon[0].y) > 0.000001))",
    "the corners of the polygon lie on one line: move one of them aside, so that it has an area",
)

Polygon = Annotated[list[Point], Field(min_length=3, max_length=MAX_CORNERS)]
Classes = Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(min_length=1, max_length=128)]


class Zone(Document):
    """An area in which objects are counted."""

    model_config = rules(_HAS_AREA)

    name: str = Field(min_length=1, max_length=63, description="Name of the zone, in results. Its counts go with it.")
    polygon: Polygon = Field(
        description="Corners of the zone, in order, at least 3. An object is where the middle of its box's lower edge "
        "is."
    )
    classes: Classes | None = Field(
        None, description="Only objects of these classes, by the model's labels; without it all."
    )
    min_dwell: float | None = Field(
        None,
        gt=0,
        le=86400,
        description="Tell when an object has been in the zone for so many seconds; without it that is not told.",
    )


class Direction(StrEnum):
    """Ways over a line, as seen by somebody who stands at `from` and looks to `to`."""

    BOTH = "both"
    LEFT_TO_RIGHT = "leftToRight"
    RIGHT_TO_LEFT = "rightToLeft"


class Line(Document):
    """A line whose crossings are counted."""

    model_config = rules(
        (
            "self.from.x - self.to.x > 0.001 || self.to.x - self.from.x > 0.001 || "
            "self.from.y - self.to.y > 0.001 || self.to.y - self.from.y > 0.001",
            "from and to must be two different places, more than a thousandth of the picture apart",
        ),
    )

    name: str = Field(min_length=1, max_length=63, description="Name of the line, in results. Its counts go with it.")
    from_: Point = Field(alias="from", description="Where the line begins.")
    to: Point = Field(description="Where the line ends.")
    classes: Classes | None = Field(
        None, description="Only objects of these classes, by the model's labels; without it all."
    )
    direction: Direction = Field(
        Direction.BOTH,
        description="Which crossings count, as seen by somebody who stands at from and looks to to: leftToRight, "
        "rightToLeft, or both. Below a line drawn from left to right is its right side.",
    )


class MaskMode(StrEnum):
    """What is seen instead of what a mask covers."""

    BLACK = "black"
    BLUR = "blur"


class PrivacyMask(Document):
    """An area that nobody gets to see."""

    model_config = rules(_HAS_AREA)

    polygon: Polygon = Field(
        description="Corners of the mask, in order, at least 3. Pixels that it touches are hidden."
    )
    mode: MaskMode = Field(
        MaskMode.BLACK,
        description="black: a black area. blur: coarse blocks, in which movement can be seen, but no person made out.",
    )


Zones = Annotated[list[Zone], Field(max_length=MAX_REGIONS)]
Lines = Annotated[list[Line], Field(max_length=MAX_REGIONS)]
PrivacyMasks = Annotated[list[PrivacyMask], Field(max_length=MAX_REGIONS)]
