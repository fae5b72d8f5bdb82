"""Zones, lines and privacy masks as a worker uses them. Pure; what cannot be watched or hidden is refused here."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from videofleet_api.protocol import JobSpec
from videofleet_api.regions import LEAST_SPREAD, Direction, Line, MaskMode, Point, Zone
from videofleet_worker.analytics.geometry import Corner, Polygons
from videofleet_worker.analytics.model import WAYS, LineSettings, Way, ZoneSettings
from videofleet_worker.decode.masks import Mask
from videofleet_worker.models.classes import canonical_label
from videofleet_worker.models.detections import Detections
from videofleet_worker.models.manifest import ModelManifest

_WAYS: dict[Direction, tuple[Way, ...]] = {
    Direction.BOTH: WAYS,
    Direction.LEFT_TO_RIGHT: ("leftToRight",),
    Direction.RIGHT_TO_LEFT: ("rightToLeft",),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What one analytics watches. Nothing where it does not track."""

    zones: tuple[ZoneSettings, ...] = ()
    lines: tuple[LineSettings, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.zones or self.lines)


NOTHING_WATCHED = Watched()


def check_regions(spec: JobSpec, tracked: Sequence[ModelManifest]) -> None:
    """Raises ValueError for what cannot be watched or hidden. `tracked`: models whose objects are tracked.

    The API server has refused most of this before.
    """
    regions: list[Zone | Line] = [*spec.zones, *spec.lines]
    _check_names("zone", [zone.name for zone in spec.zones])
    _check_names("line", [line.name for line in spec.lines])
    for zone in spec.zones:
        _check_area(f"zone {zone.name}", zone.polygon)
    for place, mask in enumerate(spec.privacy_masks):
        _check_area(f"privacyMasks[{place}]", mask.polygon)
    for line in spec.lines:
        if line.from_ == line.to:
            raise ValueError(f"line {line.name}: from and to are the same place")
    if regions and not tracked:
        raise ValueError("zones and lines need an analytics with a track step")
    for region in regions:
        for name in region.classes or ():
            _check_class(region.name, name, tracked)


def watched(spec: JobSpec, tracked: Sequence[ModelManifest]) -> Watched:
    """What an analytics that tracks the objects of these models watches. `check_regions` comes first."""
    if not tracked:
        return NOTHING_WATCHED
    zones = (
        ZoneSettings(zone.name, _corners(zone.polygon), _labels(zone.classes, tracked), zone.min_dwell)
        for zone in spec.zones
    )
    lines = (
        LineSettings(
            line.name, _corner(line.from_), _corner(line.to), _labels(line.classes, tracked), _WAYS[line.direction]
        )
        for line in spec.lines
    )
    return Watched(tuple(zones), tuple(lines))


def masks(spec: JobSpec) -> tuple[Mask, ...]:
    """What is hidden."""
    return tuple(Mask(_corners(one.polygon), blur=one.mode is MaskMode.BLUR) for one in spec.privacy_masks)


def outside(hidden: Sequence[Mask], found: Detections) -> Detections:
    """Those whose middle is under no mask. What models guess of somebody who is covered for the most part is nobody's
    business."""
    if not hidden:
        return found
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]).astype(np.float64) / 2
    under = Polygons.of([mask.corners for mask in hidden], (1, 1)).contain(middles)
    return found.select(np.flatnonzero(~under.any(axis=1)))


def _check_names(kind: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {kind}s are named {name}: every {kind} needs a name of its own")


def _corner(point: Point) -> Corner:
    return point.x, point.y


def _corners(polygon: Sequence[Point]) -> tuple[Corner, ...]:
    return tuple(_corner(point) for point in polygon)


def _check_area(where: str, polygon: Sequence[Point]) -> None:
    """As the rule of the API server: some three corners, the first among them, are not on one line."""
    first = polygon[0]
    spreads = (
        abs((p.x - first.x) * (q.y - first.y) - (q.x - first.x) * (p.y - first.y)) for p, q in combinations(polygon, 2)
    )
    if max(spreads) <= LEAST_SPREAD:
        raise ValueError(f"{where}: the corners of its polygon lie on one line, it has no area")


def _check_class(region: str, name: str, tracked: Sequence[ModelManifest]) -> None:
    """A class is right where any of the models knows it."""
    problems = []
    for model in tracked:
        try:
            canonical_label(model, name)
        except ValueError as error:
            problems.append(str(error))
    if len(problems) == len(tracked):
        raise ValueError(f"{region}: {'; '.join(problems)}")


def _labels(names: Sequence[str] | None, tracked: Sequence[ModelManifest]) -> frozenset[str] | None:
    """The models' labels for these classes; those that none of them knows are another analytics'."""
    if names is None:
        return None
    found = set()
    for name, model in product(names, tracked):
        with contextlib.suppress(ValueError):
            found.add(canonical_label(model, name))
    return frozenset(found)
