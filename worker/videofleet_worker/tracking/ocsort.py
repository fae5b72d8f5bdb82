"""OC-SORT: what was seen counts for more than what was expected.

"Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking", Cao et al., CVPR 2023. Three things beside
an association by overlap:

- momentum (OCM): of detections that fit, the one in whose direction the object has moved is the better one, the
  direction being that between observations some frames apart, not the filter's noisy speed;
- recovery (OCR): who is left over is looked for where it was last seen, for what has stopped or was hidden shortly;
- re-update (ORU): a track found again after a gap forgets where its filter drifted, and learns the straight way from
  its last observation to this one instead.

As in the authors' code, low scores may keep alive what was seen in the last frame, as in ByteTrack.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from videofleet_worker.boxes import overlapping
from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.assignment import Pair, assign
from videofleet_worker.tracking.follower import Follower, free
from videofleet_worker.tracking.frame import Frame
from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.settings import TrackerSettings
from videofleet_worker.tracking.tracks import LOST, NEW, SEEN, Tracks

# The paper's: the weight of the direction beside the overlap, and over how many observations a direction is taken.
_MOMENTUM: Final = 0.2
_SPAN: Final = 3
# The way over a longer gap is learnt in so many steps.
_MOST_STEPS: Final = 10

Point = tuple[float, float]


@dataclass(eq=False)
class Observed(Tracks):
    """Tracks that remember what was seen of them.

    `anchors` are the filters as they were after the last match, `measured` and `boxes` [n, 4] what that was; `path` are
    the centres of the last observations, one more than a direction is taken over.
    """

    anchors: FloatArray = field(default_factory=lambda: kalman.initiate(np.zeros((0, 4))))
    measured: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    boxes: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    path: list[list[Point]] = field(default_factory=list)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all but these rows."""
        super().keep(rows)
        places = list(rows)
        self.anchors, self.measured, self.boxes = self.anchors[places], self.measured[places], self.boxes[places]
        self.path = [self.path[row] for row in rows]

    def begin(self, frame: Frame, columns: Sequence[int], now: float) -> None:
        """New rows for these detections, seen once."""
        first, places = len(self), list(columns)
        super().begin(frame, columns, now)
        self.anchors = np.concatenate((self.anchors, self.filters[first:]))
        self.measured = np.concatenate((self.measured, frame.measured[places]))
        self.boxes = np.concatenate((self.boxes, frame.boxes[places]))
        self.path += [[(x, y)] for x, y in frame.measured[places, :2].tolist()]

    def match(self, frame: Frame, found: Mapping[int, int], missed: Sequence[int], now: float) -> None:
        """See Tracks; rows after a gap learn the way over it."""
        again = [(row, column) for row, column in found.items() if self.states[row] == LOST]
        ways = [(row, self._after_gap(row, frame.measured[column], now)) for row, column in again]
        super().match(frame, found, missed, now)
        for row, learnt in ways:
            self.filters[row] = learnt
        rows, columns = list(found), list(found.values())
        self.anchors[rows] = self.filters[rows]
        self.measured[rows], self.boxes[rows] = frame.measured[columns], frame.boxes[columns]
        for row, (x, y) in zip(rows, frame.measured[columns, :2].tolist(), strict=True):
            self.path[row] = [*self.path[row][-_SPAN:], (x, y)]

    def _after_gap(self, row: int, measured: FloatArray, now: float) -> FloatArray:
        """The filter of a track that went the straight way from its last observation to this one."""
        passed = (now - self.seen_at[row]) * kalman.STEPS_A_SECOND
        steps = min(max(round(passed), 1), _MOST_STEPS)
        start, way = self.measured[row : row + 1], measured - self.measured[row : row + 1]
        filters = self.anchors[row : row + 1]
        for step in range(1, steps + 1):
            if passed > 0:
                filters = kalman.predict(filters, passed / steps)
            filters = kalman.correct(filters, start + way * (step / steps))
        learnt: FloatArray = filters[0]
        return learnt

    def direction(self, row: int) -> Point | None:
        """Where the object has moved lately, of length 1; None where it stands still or was seen once."""
        path = self.path[row]
        return _direction(path[0], path[-1])


class OcSortTracker(Follower):
    """Follows objects by where they are expected, which way they went, and where they were last seen."""

    def __init__(self, settings: TrackerSettings | None = None, *, next_id: int = 1) -> None:
        self._observed = Observed()
        super().__init__(settings, next_id=next_id, tracks=self._observed)

    def _associate(self, frame: Frame, pairs: Sequence[Pair]) -> dict[int, int]:
        settings, states, scores = self._settings, self._observed.states, frame.scores
        high, low = settings.high_score, settings.low_score
        # 1. Confident detections with all tracks, by overlap and direction.
        found = self._by_direction(frame, [pair for pair in self._by_looks(frame, pairs) if scores[pair[1]] >= high])
        # 2. Low detections with what was seen in the last frame and is missed now.
        least = settings.low_overlap
        weak = [p for p in pairs if p[2] >= least and states[p[0]] == SEEN and low <= scores[p[1]] < high]
        found |= assign(free(weak, found), least)
        # 3. What is left of both, where the tracks were last seen.
        return found | self._where_last_seen(frame, found)

    def _by_direction(self, frame: Frame, pairs: Sequence[Pair]) -> dict[int, int]:
        settings, states = self._settings, self._observed.states
        directions = {row: self._observed.direction(row) for row in {pair[0] for pair in pairs}}
        good: list[Pair] = []
        for row, column, overlap in pairs:
            if overlap >= (settings.second_overlap if states[row] == NEW else settings.high_overlap):
                good.append((row, column, overlap + self._momentum(frame, row, column, directions[row])))
        return assign(good, settings.high_overlap)

    def _momentum(self, frame: Frame, row: int, column: int, direction: Point | None) -> float:
        """From nothing for straight back to the full weight for straight on; half of it where no way is known."""
        x, y = frame.measured[column, :2].tolist()
        # Over as many observations as the direction, this one being the last of them.
        towards = None if direction is None else _direction(self._observed.path[row][-_SPAN:][0], (x, y))
        share = 0.5
        if direction is not None and towards is not None:
            cosine = direction[0] * towards[0] + direction[1] * towards[1]
            share = 1 - math.acos(min(max(cosine, -1.0), 1.0)) / math.pi
        return _MOMENTUM * share * frame.scores[column]

    def _where_last_seen(self, frame: Frame, found: dict[int, int]) -> dict[int, int]:
        # More is asked for than of a place expected: who passes where another vanished is not the other.
        tracks, least, taken = self._observed, self._settings.low_overlap, set(found.values())
        rows = [row for row in range(len(tracks)) if row not in found]
        high = self._settings.high_score
        columns = [column for column, score in enumerate(frame.scores) if score >= high and column not in taken]
        if not (rows and columns):
            return {}
        mine, theirs, overlaps = overlapping(tracks.boxes[rows], frame.boxes[columns], least)
        pairs = [
            (rows[row], columns[column], overlap)
            for row, column, overlap in zip(mine.tolist(), theirs.tolist(), overlaps.tolist(), strict=True)
            if tracks.classes[rows[row]] == frame.classes[columns[column]]
        ]
        return assign(pairs, least)


def _direction(start: Point, end: Point) -> Point | None:
    x, y = end[0] - start[0], end[1] - start[1]
    length = math.hypot(x, y)
    return (x / length, y / length) if length > 0 else None
