"""What is watched, and what is told about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from videofleet_worker.analytics.geometry import Corner

Way = Literal["leftToRight", "rightToLeft"]
WAYS: tuple[Way, Way] = ("leftToRight", "rightToLeft")
Counts = Mapping[str, int]
"""By class."""


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """A zone: corners as shares of width and height; the classes that count, None for all; seconds of stay that are
    told, None for none."""

    name: str
    corners: tuple[Corner, ...]
    classes: frozenset[str] | None = None
    min_dwell: float | None = None


@dataclass(frozen=True, slots=True)
class LineSettings:
    """A line: ends as shares of width and height; the classes that count, None for all; the ways that count."""

    name: str
    start: Corner
    end: Corner
    classes: frozenset[str] | None = None
    ways: tuple[Way, ...] = WAYS


@dataclass(frozen=True, slots=True)
class ZoneTotals:
    """Who entered and who left a zone. The difference is who is in it."""

    name: str
    entered: Counts = field(default_factory=dict)
    left: Counts = field(default_factory=dict)

    @property
    def inside(self) -> dict[str, int]:
        """Who is in it, without the classes of which nobody is."""
        present = {label: count - self.left.get(label, 0) for label, count in self.entered.items()}
        return {label: count for label, count in present.items() if count}


@dataclass(frozen=True, slots=True)
class LineTotals:
    """Crossings of a line, either way."""

    name: str
    left_to_right: Counts = field(default_factory=dict)
    right_to_left: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted since a run began."""

    zones: tuple[ZoneTotals, ...] = ()
    lines: tuple[LineTotals, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """An object entered or left a zone, or has stayed for as long as is told.

    `seconds` of its stay, for all but `enter`; `lost`: it left because it is seen no more.
    """

    kind: Literal["enter", "leave", "dwell"]
    zone: str
    track_id: int
    label: str
    seconds: float = 0.0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class LineEvent:
    """An object crossed a line."""

    line: str
    track_id: int
    label: str
    way: Way


Event = ZoneEvent | LineEvent
