"""Who is in which zone."""

from collections.abc import Iterator, Sequence

import numpy as np

from videofleet_worker.analytics.geometry import BoolArray, Polygons
from videofleet_worker.analytics.model import ZoneEvent, ZoneSettings, ZoneTotals
from videofleet_worker.analytics.sighting import Sighting, wanted
from videofleet_worker.analytics.tables import with_columns, with_rows, without_rows
from videofleet_worker.analytics.tally import Tally

# Of a narrow zone everything would be border.
_MOST_OF_DEPTH = 0.25


class ZoneWatch:
    """Keeps, for every object and zone, whether it is inside.

    When an object is seen for the first time, its place alone decides. From then on it changes sides only once it is
    farther beyond the border than its margin, so that a box that trembles on the border enters once. The margin is at
    most a quarter of the zone's depth.

    Those whom an earlier epoch left inside are carried: objects that are found inside when they are first seen are
    taken for them and not counted again, until `settle` says that whoever has not been found has left.
    """

    def __init__(self, zones: Sequence[ZoneSettings], before: Sequence[ZoneTotals]) -> None:
        self._zones: tuple[ZoneSettings, ...] = ()
        self._entered = Tally((one.name, one.entered) for one in before)
        self._left = Tally((one.name, one.left) for one in before)
        self._carried = {one.name: one.inside for one in before}
        self._inside = np.zeros((0, 0), np.bool_)
        # Whether an object was seen since the border is where it is.
        self._decided = np.zeros((0, 0), np.bool_)
        # Whether it was told that it has stayed for long.
        self._told = np.zeros((0, 0), np.bool_)
        self._since = np.zeros((0, 0))
        self._size = (0, 0)
        self._polygons = Polygons.of((), (1, 1))
        self.use(zones)

    @property
    def totals(self) -> tuple[ZoneTotals, ...]:
        """The counts of every zone."""
        return tuple(ZoneTotals(one.name, self._entered.of(one.name), self._left.of(one.name)) for one in self._zones)

    def use(self, zones: Sequence[ZoneSettings]) -> None:
        """Watch other zones. One of a name that there was goes on counting; where its border has changed, the place of
        an object that is seen next decides alone again."""
        places = {zone.name: place for place, zone in enumerate(self._zones)}
        sources = [places.get(zone.name) for zone in zones]
        same = [
            None if source is None or self._zones[source].corners != zone.corners else source
            for zone, source in zip(zones, sources, strict=True)
        ]
        self._inside, self._told, self._since = (
            with_columns(self._inside, sources),
            with_columns(self._told, sources),
            with_columns(self._since, sources),
        )
        self._decided = with_columns(self._decided, same)
        self._zones, self._size = tuple(zones), (0, 0)
        names = [zone.name for zone in zones]
        self._entered.keep(names)
        self._left.keep(names)
        self._carried = {name: counts for name, counts in self._carried.items() if name in names}

    def add(self, count: int) -> None:
        """So many more objects are known."""
        self._inside, self._decided = with_rows(self._inside, count), with_rows(self._decided, count)
        self._told, self._since = with_rows(self._told, count), with_rows(self._since, count)

    def step(self, seen: Sighting) -> list[ZoneEvent]:
        """What the objects of a frame have done."""
        if not self._zones:
            return []
        rows = seen.rows
        before, now = self._inside[rows], self._where(seen)
        came, went = now & ~before, before & ~now
        first = came & ~self._decided[rows]
        self._inside[rows], self._decided[rows] = now, True
        self._since[rows] = np.where(came, seen.pts, self._since[rows])
        self._told[rows] &= now
        stays = seen.pts - self._since[rows]
        events = [
            event
            for index, zone in _marked(came)
            if (event := self._enter(self._zones[zone], seen, index, found=bool(first[index, zone]))) is not None
        ]
        events += [
            self._leave(self._zones[zone], seen.ids[index], seen.labels[index], float(stays[index, zone]))
            for index, zone in _marked(went)
        ]
        return events + self._dwells(seen, now, stays)

    def forget(
        self, gone: BoolArray, ids: Sequence[int], labels: Sequence[str], stayed: Sequence[float]
    ) -> list[ZoneEvent]:
        """The objects whose rows are marked are seen no more: they have left, at the times `stayed` (pts).

        `ids`, `labels` and `stayed` are of all rows.
        """
        events = [
            self._leave(
                self._zones[zone], ids[row], labels[row], stayed[row] - float(self._since[row, zone]), lost=True
            )
            for row, zone in _marked(self._inside & gone[:, None])
        ]
        self._inside, self._decided = without_rows(self._inside, gone), without_rows(self._decided, gone)
        self._told, self._since = without_rows(self._told, gone), without_rows(self._since, gone)
        return events

    def settle(self) -> None:
        """Whoever an earlier epoch left inside and has not been found by now has left meanwhile."""
        for name, counts in self._carried.items():
            for label, count in counts.items():
                if count:
                    self._left.add(name, label, count)
        self._carried = {}

    def _where(self, seen: Sighting) -> BoolArray:
        """Who is inside now, as [n, zones]."""
        if self._size != seen.size:
            self._size = seen.size
            self._polygons = Polygons.of([zone.corners for zone in self._zones], seen.size)
        margin = np.minimum(seen.margins[:, None], _MOST_OF_DEPTH * self._polygons.depths)
        clear = self._polygons.border_distances(seen.places) >= margin
        decides = clear | ~self._decided[seen.rows]
        inside = np.where(decides, self._polygons.contain(seen.places), self._inside[seen.rows])
        now: BoolArray = inside & wanted(seen.labels, [zone.classes for zone in self._zones])
        return now

    def _enter(self, zone: ZoneSettings, seen: Sighting, index: int, *, found: bool) -> ZoneEvent | None:
        label = seen.labels[index]
        carried = self._carried.get(zone.name, {})
        if found and carried.get(label, 0) > 0:
            carried[label] -= 1
            return None
        self._entered.add(zone.name, label)
        return ZoneEvent("enter", zone.name, seen.ids[index], label)

    def _leave(self, zone: ZoneSettings, track_id: int, label: str, seconds: float, *, lost: bool = False) -> ZoneEvent:
        self._left.add(zone.name, label)
        return ZoneEvent("leave", zone.name, track_id, label, max(seconds, 0.0), lost)

    def _dwells(
        self, seen: Sighting, now: BoolArray, stays: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    ) -> list[ZoneEvent]:
        least = np.array([np.inf if zone.min_dwell is None else zone.min_dwell for zone in self._zones])
        # A sum of frame times is never quite a round number.
        due = now & ~self._told[seen.rows] & (stays >= least - 1e-6)
        self._told[seen.rows] |= due
        return [
            ZoneEvent("dwell", self._zones[zone].name, seen.ids[index], seen.labels[index], float(stays[index, zone]))
            for index, zone in _marked(due)
        ]


def _marked(table: BoolArray) -> Iterator[tuple[int, int]]:
    """Row and column of every True, row by row."""
    rows, columns = table.nonzero()
    yield from zip(rows.tolist(), columns.tolist(), strict=True)
