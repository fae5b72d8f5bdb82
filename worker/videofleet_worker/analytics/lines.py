"""Who crosses which line."""

from collections.abc import Sequence

import numpy as np

from videofleet_worker.analytics.geometry import BoolArray, FloatArray, Segments
from videofleet_worker.analytics.model import WAYS, LineEvent, LineSettings, LineTotals
from videofleet_worker.analytics.sighting import Sighting, wanted
from videofleet_worker.analytics.tables import with_columns, with_rows, without_rows
from videofleet_worker.analytics.tally import Tally

_LEFT, _UNKNOWN, _RIGHT = -1, 0, 1


class LineWatch:
    """Keeps, for every object and line, on which side it was surely seen last.

    An object has a side only once it is farther beside the line than its margin. It crosses when it comes to the other
    side, and its way met the line between the line's ends; a box that trembles on the line does not, and neither does
    who walks round an end.
    """

    def __init__(self, lines: Sequence[LineSettings], before: Sequence[LineTotals]) -> None:
        self._lines: tuple[LineSettings, ...] = ()
        self._crossed = {
            "leftToRight": Tally((one.name, one.left_to_right) for one in before),
            "rightToLeft": Tally((one.name, one.right_to_left) for one in before),
        }
        self._sides = np.zeros((0, 0), np.int8)
        # Whether the way met the line between its ends when it met it last.
        self._between = np.zeros((0, 0), np.bool_)
        # As shares of width and height: the resolution may change.
        self._places = np.zeros((0, 2))
        self._seen = np.zeros(0, np.bool_)
        self._size = (0, 0)
        self._segments = Segments.of((), (1, 1))
        self.use(lines)

    @property
    def totals(self) -> tuple[LineTotals, ...]:
        """The counts of every line."""
        to_right, to_left = (self._crossed[way] for way in WAYS)
        return tuple(LineTotals(one.name, to_right.of(one.name), to_left.of(one.name)) for one in self._lines)

    def use(self, lines: Sequence[LineSettings]) -> None:
        """Watch other lines. One of a name that there was goes on counting; where it lies elsewhere, nobody has a side
        of it yet: no line crosses an object."""
        places = {(line.name, line.start, line.end): place for place, line in enumerate(self._lines)}
        sources = [places.get((line.name, line.start, line.end)) for line in lines]
        self._sides = with_columns(self._sides, sources)
        self._between = with_columns(self._between, sources)
        self._lines, self._size = tuple(lines), (0, 0)
        for tally in self._crossed.values():
            tally.keep(line.name for line in lines)

    def add(self, count: int) -> None:
        """So many more objects are known."""
        self._sides, self._between = with_rows(self._sides, count), with_rows(self._between, count)
        self._places, self._seen = with_rows(self._places, count), with_rows(self._seen, count)

    def forget(self, gone: BoolArray) -> None:
        """The objects whose rows are marked are seen no more."""
        self._sides, self._between = without_rows(self._sides, gone), without_rows(self._between, gone)
        self._places, self._seen = without_rows(self._places, gone), without_rows(self._seen, gone)

    def step(self, seen: Sighting) -> list[LineEvent]:
        """Who has crossed in a frame."""
        if not self._lines:
            return []
        if self._size != seen.size:
            self._size = seen.size
            self._segments = Segments.of([(line.start, line.end) for line in self._lines], seen.size)
        rows, offsets = seen.rows, self._segments.offsets(seen.places)
        self._note_ways(seen, offsets)
        sides = self._sides[rows]
        now = np.where(np.abs(offsets) < seen.margins[:, None], _UNKNOWN, np.where(offsets < 0, _LEFT, _RIGHT))
        changed = (now * sides == -1) & self._between[rows]
        self._sides[rows] = np.where(now == _UNKNOWN, sides, now)
        changed &= wanted(seen.labels, [line.classes for line in self._lines])
        events = [
            self._event(line, seen, index, int(now[index, line])) for index, line in np.argwhere(changed).tolist()
        ]
        return [event for event in events if event is not None]

    def _note_ways(self, seen: Sighting, offsets: FloatArray) -> None:
        """Where each object's way since the last frame that showed it meets a line."""
        rows = seen.rows
        before = np.where(self._seen[rows, None], self._places[rows] * seen.size, seen.places)
        meets = (self._segments.offsets(before) < 0) != (offsets < 0)
        between = self._segments.crossed_between_ends(before, seen.places)
        self._between[rows] = np.where(meets, between, self._between[rows])
        self._places[rows], self._seen[rows] = seen.places / seen.size, True

    def _event(self, place: int, seen: Sighting, index: int, side: int) -> LineEvent | None:
        line, label = self._lines[place], seen.labels[index]
        way = WAYS[0] if side == _RIGHT else WAYS[1]
        if way not in line.ways:
            return None
        self._crossed[way].add(line.name, label)
        return LineEvent(line.name, seen.ids[index], label, way)
