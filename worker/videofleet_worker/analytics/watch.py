"""Zones and lines over the frames of one stream."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from videofleet_worker.analytics.lines import LineWatch
from videofleet_worker.analytics.model import Event, LineSettings, Totals, ZoneSettings
from videofleet_worker.analytics.sighting import IntArray, Sighting, margins, standing_places
from videofleet_worker.analytics.tables import with_rows, without_rows
from videofleet_worker.analytics.zones import ZoneWatch


class RegionWatch:
    """Follows the objects of one stream over its zones and lines.

    forget_after: an object that is not seen for more than so many seconds is gone; for so long, too, objects at the
    beginning may be those that an earlier epoch left in a zone. before: what was counted before this stream began.
    """

    def __init__(
        self,
        zones: Sequence[ZoneSettings],
        lines: Sequence[LineSettings],
        forget_after: float,
        before: Totals | None = None,
    ) -> None:
        before = before or Totals()
        self._watching = bool(zones or lines)
        self._zones = ZoneWatch(zones, before.zones)
        self._lines = LineWatch(lines, before.lines)
        self._forget_after = forget_after
        self._rows: dict[int, int] = {}
        self._ids: list[int] = []
        self._labels: list[str] = []
        self._last_seen = np.zeros(0)
        self._began: float | None = None

    @property
    def totals(self) -> Totals:
        """What has been counted so far."""
        return Totals(self._zones.totals, self._lines.totals)

    def use(self, zones: Sequence[ZoneSettings], lines: Sequence[LineSettings], forget_after: float) -> None:
        """Go on with other zones and lines from the next frame on. Counts stay with their names."""
        self._watching = bool(zones or lines)
        self._zones.use(zones)
        self._lines.use(lines)
        self._forget_after = forget_after

    def update(
        self, ids: Sequence[int], labels: Sequence[str], boxes: npt.ArrayLike, size: tuple[int, int], pts: float
    ) -> list[Event]:
        """What the objects of the next frame have done.

        `ids` are above 0, each once; an object keeps the label that it was first seen with; `boxes` [n, 4] are x1, y1,
        x2, y2 in pixels of a frame of this size (width, height); `pts` is its time in seconds.
        """
        events: list[Event] = [*self._forget(pts)]
        rows = self._rows_of(ids, labels)
        self._last_seen[rows] = pts
        if not self._watching:
            return events
        found = np.asarray(boxes, np.float64).reshape(-1, 4)
        own = [self._labels[row] for row in rows.tolist()]
        seen = Sighting(rows, ids, own, standing_places(found), margins(found), size, pts)
        events += self._zones.step(seen)
        events += self._lines.step(seen)
        return events

    def _rows_of(self, ids: Sequence[int], labels: Sequence[str]) -> IntArray:
        new = {track_id: label for track_id, label in zip(ids, labels, strict=True) if track_id not in self._rows}
        if new:
            self._rows |= {track_id: len(self._ids) + place for place, track_id in enumerate(new)}
            self._ids += new
            self._labels += new.values()
            self._last_seen = with_rows(self._last_seen, len(new))
            self._zones.add(len(new))
            self._lines.add(len(new))
        return np.array([self._rows[track_id] for track_id in ids], np.int64)

    def _forget(self, pts: float) -> Sequence[Event]:
        """Let go of those not seen for too long."""
        # A sum of frame times is never quite a round number.
        oldest = pts - self._forget_after - 1e-6
        self._began = pts if self._began is None else self._began
        if self._began < oldest:
            self._zones.settle()
        gone = self._last_seen < oldest
        if not gone.any():
            return ()
        events = self._zones.forget(gone, self._ids, self._labels, self._last_seen.tolist())
        self._lines.forget(gone)
        self._last_seen = without_rows(self._last_seen, gone)
        left = (~gone).nonzero()[0].tolist()
        self._ids, self._labels = [self._ids[row] for row in left], [self._labels[row] for row in left]
        self._rows = {track_id: row for row, track_id in enumerate(self._ids)}
        return events
