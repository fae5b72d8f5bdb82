"""What all trackers have in common: how tracks begin, get their numbers, get lost and end."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy.typing as npt

from videofleet_worker.boxes import edges_overlapping, grown
from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.assignment import Pair
from videofleet_worker.tracking.frame import Frame, IntArray, frame_of
from videofleet_worker.tracking.looks import with_looks
from videofleet_worker.tracking.settings import TrackerSettings
from videofleet_worker.tracking.tracks import LOST, NEW, NOT_TRACKED, SEEN, Tracks

# Frames this close, in seconds, are compared without a margin; the margin's growth a second and its limit are shares
# of a box's size. Fitted to pedestrians at 10, 5, 2, 1 and 0.5 frames a second.
_DENSE_PERIOD: Final = 0.15
_MARGIN_A_SECOND: Final = 0.75
_GREATEST_MARGIN: Final = 0.75


class Follower(ABC):
    """Follows the objects of one stream. Ids are whole numbers from `next_id` on, rising, none used twice.

    An object gets its id in the second frame that shows it, so that a single false detection uses none up; in the
    first frame of all, everything that may begin a track gets one at once, as in ByteTrack's code.

    For video that is sampled rarely, where an object has left its box before the next frame, boxes are compared with a
    margin that grows with the time between frames, after "Hard to Track Objects with Irregular Motions and Similar
    Appearances? Make It Easier by Buffering the Matching Space", Yang et al., WACV 2023. From 7 frames a second on it
    is nothing.
    """

    def __init__(
        self, settings: TrackerSettings | None = None, *, next_id: int = 1, tracks: Tracks | None = None
    ) -> None:
        if next_id < 1:
            raise ValueError(f"next_id is {next_id}, and must be at least 1")
        self._settings = settings or TrackerSettings()
        self._next_id = next_id
        self._tracks = Tracks() if tracks is None else tracks
        self._last_pts: float | None = None
        self._now = 0.0

    @property
    def highest_id(self) -> int:
        """The highest id given so far; one less than the first `next_id` where none was."""
        return self._next_id - 1

    @property
    def followed(self) -> frozenset[int]:
        """The ids that may be given to a detection again."""
        return frozenset(self._tracks.ids) - {NOT_TRACKED}

    def use(self, settings: TrackerSettings) -> None:
        """Go on with other settings from the next frame on. Vectors of another model are learnt anew."""
        before, self._settings = self._settings.looks, settings
        if before is not None and (settings.looks is None or settings.looks.model != before.model):
            self._tracks.looks = [None] * len(self._tracks)

    def update(
        self,
        boxes: npt.ArrayLike,
        scores: npt.ArrayLike,
        classes: npt.ArrayLike,
        pts: float,
        vectors: Sequence[npt.ArrayLike | None] = (),
    ) -> IntArray:
        """The id of each detection of the next frame, [n] as given, 0 where it belongs to no track.

        `boxes` [n, 4] are x1, y1, x2, y2 in any unit that is the same across and down (pixels, not shares of width
        and height) and stays the same over the stream; `scores` [n] are 0..1; `classes` [n] are whole numbers, and a
        track never changes its own; `pts` is the frame's time in seconds. Time that goes back counts as none passed.
        `vectors`, where looks count, are what a model makes of each, [d], None where it was not asked.
        Raises ValueError, and learns nothing, where a number is not finite or a box has no area.
        """
        frame = frame_of(boxes, scores, classes)
        if self._settings.looks is not None and len(vectors):
            frame = frame.with_looks(vectors, self._settings.high_score)
        # 1. Time passes: every track moves on, and those lost for too long end.
        passed = self._pass_time(pts)
        # 2. What could be what: tracks beside detections of their class that lie where they should be.
        margin = min(max((passed or 0.0) - _DENSE_PERIOD, 0) * _MARGIN_A_SECOND, _GREATEST_MARGIN)
        pairs = self._possible_pairs(frame, margin)
        # 3. Which is what: the tracker's own way.
        found = self._associate(frame, pairs)
        # 4. Learn where the tracks are; drop those not seen twice, and a lost one that has become another's double.
        ids = self._settle(frame, found, pairs if margin == 0 else self._possible_pairs(frame, 0.0))
        # 5. Begin tracks with confident detections that nobody has.
        self._begin(frame, ids, at_once=passed is None)
        return frame.as_given(ids)

    @abstractmethod
    def _associate(self, frame: Frame, pairs: Sequence[Pair]) -> dict[int, int]:
        """Which row of the tracks was found as which column of the frame, each used once at most.

        `pairs` are those of one class that overlap at all as much as any rule asks for, row by row.
        """

    def _pass_time(self, pts: float) -> float | None:
        """Move all tracks to `pts`; the seconds since the last frame, None where this is the first."""
        if not math.isfinite(pts):
            raise ValueError(f"pts is {pts}, and must be a number of seconds")
        last, self._last_pts = self._last_pts, pts
        if last is None:
            return None
        passed = max(pts - last, 0.0)
        self._now += passed
        tracks = self._tracks
        # A sum of frame times is never quite a round number.
        oldest = self._now - self._settings.lost_seconds - 1e-6
        if tracks.seen_at and min(tracks.seen_at) < oldest:
            self._tracks.keep([row for row, seen_at in enumerate(tracks.seen_at) if seen_at >= oldest])
        if len(tracks) and passed > 0:
            tracks.filters = kalman.predict(tracks.filters, passed * kalman.STEPS_A_SECOND)
        return passed

    def _possible_pairs(self, frame: Frame, margin: float) -> list[Pair]:
        """Tracks and detections of one class that overlap as much as anything asks for, each box grown by the margin.

        The margin is a share of a box's size on each side.
        """
        if not (len(self._tracks) and frame.scores):
            return []
        expected, shown = kalman.to_edges(self._tracks.filters), frame.edges
        if margin > 0:
            expected, shown = grown(expected, margin), grown(shown, margin)
        rows, columns, overlaps = edges_overlapping(expected, shown, self._settings.least_overlap)
        pairs = zip(rows.tolist(), columns.tolist(), overlaps.tolist(), strict=True)
        classes, kinds = self._tracks.classes, frame.classes
        if len({*classes, *kinds}) == 1:
            return list(pairs)
        return [pair for pair in pairs if classes[pair[0]] == kinds[pair[1]]]

    def _by_looks(self, frame: Frame, pairs: Sequence[Pair]) -> Sequence[Pair]:
        """The pairs with the looks counted in, where they count."""
        if self._settings.looks is None or not frame.looks:
            return pairs
        return with_looks(pairs, self._tracks.looks, frame.looks, self._settings.looks)

    def _settle(self, frame: Frame, found: dict[int, int], pairs: Sequence[Pair]) -> list[int]:
        """Take over what each track was found as; the ids of the frame's detections."""
        tracks = self._tracks
        ids, known = [NOT_TRACKED] * len(frame.scores), tracks.ids
        missed = [row for row in range(len(tracks)) if row not in found]
        if found:
            tracks.match(frame, found, missed, self._now)
        if self._settings.looks is not None and frame.looks:
            tracks.remember(frame, found, self._settings.looks.memory)
        # Ids are given to the oldest first.
        for row in sorted(found):
            if known[row] == NOT_TRACKED:
                known[row] = self._number()
            ids[found[row]] = known[row]
        if missed:
            gone = {row for row in missed if tracks.states[row] == NEW}
            tracks.lose(missed)
            gone |= self._doubles(found, pairs)
            if gone:
                self._tracks.keep([row for row in range(len(tracks)) if row not in gone])
        return ids

    def _doubles(self, found: dict[int, int], pairs: Sequence[Pair]) -> set[int]:
        """Of a lost track that lies on what another was just seen as, and that other, the one followed for less long.

        `pairs` are without a margin.
        """
        tracks, states, least = self._tracks, self._tracks.states, self._settings.duplicate_overlap
        # Of many pairs hardly any: who owns a detection is looked up for these alone.
        close = [(row, column) for row, column, overlap in pairs if overlap > least and states[row] == LOST]
        owners = {column: row for row, column in found.items()} if close else {}
        return {
            row if tracks.followed(owners[column]) >= tracks.followed(row) else owners[column]
            for row, column in close
            if column in owners
        }

    def _begin(self, frame: Frame, ids: list[int], *, at_once: bool) -> None:
        """Begin a track with each free detection that is good enough; with an id where `at_once`, written to `ids`."""
        least, scores = self._settings.new_track_score, frame.scores
        columns = [column for column, one in enumerate(ids) if one == NOT_TRACKED and scores[column] >= least]
        if not columns:
            return
        tracks, first = self._tracks, len(self._tracks)
        tracks.begin(frame, columns, self._now)
        for row, column in enumerate(columns, start=first) if at_once else ():
            tracks.states[row] = SEEN
            ids[column] = tracks.ids[row] = self._number()

    def _number(self) -> int:
        number = self._next_id
        self._next_id += 1
        return number


def free(pairs: Sequence[Pair], found: dict[int, int]) -> list[Pair]:
    """The pairs of which neither side has a partner yet."""
    if not pairs:
        return []
    taken = set(found.values())
    return [pair for pair in pairs if pair[0] not in found and pair[1] not in taken]
