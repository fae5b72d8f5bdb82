"""Objects that walk through a picture, for zones and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from videofleet_worker.analytics.model import Event, LineEvent, LineSettings, Totals, ZoneEvent, ZoneSettings
from videofleet_worker.analytics.watch import RegionWatch

SIZE = (1000, 1000)
LOST_SECONDS = 2.0
Place = tuple[float, float]


def square(name: str, left: float, top: float, right: float, bottom: float, **settings: object) -> ZoneSettings:
    """A zone with four right angles, in shares."""
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return ZoneSettings(name, corners, **settings)  # type: ignore[arg-type]  # as the test says


def box_at(place: Place, height: float = 100.0) -> tuple[float, float, float, float]:
    """The box, half as wide as high, of one that stands at a place in pixels."""
    x, y = place
    return x - height / 4, y - height, x + height / 4, y


@dataclass
class Stage:
    """A stream of ten frames a second with objects on it."""

    zones: Sequence[ZoneSettings] = ()
    lines: Sequence[LineSettings] = ()
    before: Totals | None = None
    size: tuple[int, int] = SIZE
    now: float = 0.0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = RegionWatch(self.zones, self.lines, LOST_SECONDS, self.before)

    def show(self, places: dict[int, Place], *, label: str = "person", seconds: float = 0.1) -> list[Event]:
        """One frame: who stands where."""
        boxes = [box_at(place) for place in places.values()]
        told = self.watch.update([*places], [label] * len(places), boxes, self.size, self.now)
        self.now += seconds
        self.events += told
        return told

    def walk(self, track_id: int, *places: Place, label: str = "person") -> list[Event]:
        """Somebody alone in the picture who stands at these places in turn."""
        return [event for place in places for event in self.show({track_id: place}, label=label)]

    def wait(self, seconds: float) -> list[Event]:
        """Nobody is seen for a while."""
        self.now += seconds
        return self.show({})


def zone_kinds(events: Sequence[Event]) -> list[tuple[str, int]]:
    """What happened at zones, and to whom."""
    return [(event.kind, event.track_id) for event in events if isinstance(event, ZoneEvent)]


def ways(events: Sequence[Event]) -> list[str]:
    """The crossings."""
    return [event.way for event in events if isinstance(event, LineEvent)]
