"""ByteTrack: stable numbers for the objects of one stream.

"ByteTrack: Multi-Object Tracking by Associating Every Detection Box", Zhang et al., ECCV 2022: confident detections are
matched with all tracks first; those with low scores, often half-hidden objects, may then keep alive a track that is
left over, but never begin one.

One thing is added for video that is sampled rarely, where an object has left its box before the next frame: there boxes
are compared with a margin that grows with the time between frames, after "Hard to Track Objects with Irregular Motions
and Similar Appearances? Make It Easier by Buffering the Matching Space", Yang et al., WACV 2023. From 7 frames a second
on it is nothing.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videofleet_worker.boxes import grown, iou_matrix
from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.assignment import assign
from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.tracks import LOST, NEW, NOT_TRACKED, SEEN, BoolArray, IntArray, Tracks

# Frames this close, in seconds, are compared without a margin; the margin's growth a second and its limit are shares
# of a box's size. Fitted to pedestrians at 10, 5, 2, 1 and 0.5 frames a second.
_DENSE_PERIOD = 0.15
_MARGIN_A_SECOND = 0.75
_GREATEST_MARGIN = 0.75


@dataclass(frozen=True)
class TrackerSettings:
    """How tracks begin, go on and end. Scores and overlaps (IoU) are 0..1.

    A detection of at least `high_score` is a confident one, one of at least `low_score` can keep a track alive, and
    one of at least `new_track_score` can begin one. A track that is not seen for more than `lost_seconds` ends; where
    frames are sampled further apart than that, let it be a few sampling periods. The overlaps are those a detection
    must have with where its track is expected: for confident detections, for low ones, and for a track's second.
    """

    high_score: float = 0.4
    low_score: float = 0.2
    new_track_score: float = 0.45
    lost_seconds: float = 2.0
    high_overlap: float = 0.2
    low_overlap: float = 0.5
    second_overlap: float = 0.3
    duplicate_overlap: float = 0.85

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "lost_seconds" and not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, and must be from 0 to 1")
        if not (self.lost_seconds >= 0 and math.isfinite(self.lost_seconds)):
            raise ValueError(f"lost_seconds is {self.lost_seconds}, and must be 0 or more")
        if not self.low_score <= self.high_score <= self.new_track_score:
            raise ValueError(
                f"low_score {self.low_score}, high_score {self.high_score} and new_track_score {self.new_track_score} "
                "must not fall"
            )


@dataclass(frozen=True, eq=False)
class _Frame:
    """The detections of one frame in an order that does not depend on the order given."""

    measured: FloatArray
    boxes: FloatArray
    scores: FloatArray
    classes: IntArray


class ByteTracker:
    """Follows the objects of one stream. Ids are whole numbers from `next_id` on, rising, none used twice.

    An object gets its id in the second frame that shows it, so that a single false detection uses none up; in the
    first frame of all, everything that may begin a track gets one at once, as in the paper's code.
    """

    def __init__(self, settings: TrackerSettings | None = None, *, next_id: int = 1) -> None:
        if next_id < 1:
            raise ValueError(f"next_id is {next_id}, and must be at least 1")
        self._settings = settings or TrackerSettings()
        self._next_id = next_id
        self._tracks = Tracks.none()
        self._last_pts: float | None = None

    @property
    def highest_id(self) -> int:
        """The highest id given so far; one less than the first `next_id` where none was."""
        return self._next_id - 1

    def use(self, settings: TrackerSettings) -> None:
        """Go on with other settings from the next frame on."""
        self._settings = settings

    def update(self, boxes: npt.ArrayLike, scores: npt.ArrayLike, classes: npt.ArrayLike, pts: float) -> IntArray:
        """The id of each detection of the next frame, [n] as given, 0 where it belongs to no track.

        `boxes` [n, 4] are x1, y1, x2, y2 in any unit that is the same across and down (pixels, not shares of width
        and height) and stays the same over the stream; `scores` [n] are 0..1; `classes` [n] are whole numbers, and a
        track never changes its own; `pts` is the frame's time in seconds. Time that goes back counts as none passed.
        Raises ValueError, and learns nothing, where a number is not finite or a box has no area.
        """
        frame, order = _in_own_order(boxes, scores, classes)
        # 1. Time passes: every track moves on, and those lost for too long end.
        passed = self._pass_time(pts)
        tracks, settings = self._tracks, self._settings
        # 2. How well each track fits each detection; those of another class not at all.
        similarity = _similarity(tracks, frame, 0.0 if passed is None else passed)
        found = np.full(len(tracks), -1, np.int64)
        high = frame.scores >= settings.high_score
        low = (frame.scores >= settings.low_score) & ~high
        # 3. Confident detections with all tracks that have an id, the lost ones too.
        _associate(found, similarity, tracks.states != NEW, high, settings.high_overlap)
        # 4. Low detections with what was seen in the last frame and is missed now.
        _associate(found, similarity, tracks.states == SEEN, low, settings.low_overlap)
        # 5. What is left of the confident ones with tracks that were seen only once.
        _associate(found, similarity, tracks.states == NEW, high, settings.second_overlap)
        # 6. Learn where the tracks are; drop those not seen twice, and a lost one that has become another's double.
        matched = self._settle(found, frame)
        # 7. Begin tracks with confident detections that nobody has.
        self._begin(frame, high & (matched == NOT_TRACKED), at_once=passed is None, ids=matched)
        ids = np.empty_like(matched)
        ids[order] = matched
        return ids

    def _pass_time(self, pts: float) -> float | None:
        """Move all tracks to `pts`; the seconds since the last frame, None where this is the first."""
        if not math.isfinite(pts):
            raise ValueError(f"pts is {pts}, and must be a number of seconds")
        last, self._last_pts = self._last_pts, pts
        if last is None:
            return None
        passed = max(pts - last, 0.0)
        self._tracks.move_on(passed)
        # A sum of frame times is never quite a round number.
        expired = self._tracks.unseen > self._settings.lost_seconds + 1e-6
        if expired.any():
            self._tracks = self._tracks.where(~expired)
        return passed

    def _settle(self, found: IntArray, frame: _Frame) -> IntArray:
        """Take over what each track was matched with (`found`, -1 for nothing); the ids of the frame's detections."""
        tracks = self._tracks
        matched = found >= 0
        rows = matched.nonzero()[0]
        tracks.match(rows, frame.measured[found[rows]])
        self._number(tracks, matched & (tracks.ids == NOT_TRACKED))
        ids = np.full(len(frame.scores), NOT_TRACKED, np.int64)
        ids[found[rows]] = tracks.ids[rows]
        unseen_new = ~matched & (tracks.states == NEW)
        tracks.states[~matched] = LOST
        gone = unseen_new | _doubles(tracks, self._settings.duplicate_overlap)
        if gone.any():
            self._tracks = tracks.where(~gone)
        return ids

    def _begin(self, frame: _Frame, free: BoolArray, *, at_once: bool, ids: IntArray) -> None:
        """Begin a track with each free detection that is good enough; with an id where `at_once`, written to `ids`."""
        begins = free & (frame.scores >= self._settings.new_track_score)
        if not begins.any():
            return
        new = Tracks.new(frame.measured[begins], frame.classes[begins])
        if at_once:
            new.states[:] = SEEN
            self._number(new, np.ones(len(new), np.bool_))
            ids[begins] = new.ids
        self._tracks = self._tracks.followed_by(new)

    def _number(self, tracks: Tracks, which: BoolArray) -> None:
        count = int(np.count_nonzero(which))
        tracks.ids[which] = np.arange(self._next_id, self._next_id + count)
        self._next_id += count


def _in_own_order(boxes: npt.ArrayLike, scores: npt.ArrayLike, classes: npt.ArrayLike) -> tuple[_Frame, IntArray]:
    """The detections by falling score, and the place each was given at. ValueError for what cannot be tracked."""
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    score = np.asarray(scores, np.float64).reshape(-1)
    kind = np.asarray(classes).reshape(-1).astype(np.int64)
    if not len(given) == len(score) == len(kind):
        raise ValueError(f"{len(given)} boxes, {len(score)} scores and {len(kind)} classes do not belong together")
    # Comparisons with something that is no number are false.
    good = (given[:, 2:] > given[:, :2]).all(axis=1) & (np.abs(given) < np.inf).all(axis=1) & (np.abs(score) < np.inf)
    if not good.all():
        row = int(good.argmin())
        raise ValueError(
            f"detection {row} cannot be tracked: box {given[row].tolist()} with score {score[row]}; all numbers must "
            "be finite, x1 below x2 and y1 below y2"
        )
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    if (ranked[1:] == ranked[:-1]).any():  # rare: then the place decides
        order = np.lexsort((kind, *given.T, -score))
    return _Frame(kalman.to_measurements(given[order]), given[order], score[order], kind[order]), order


def _similarity(tracks: Tracks, frame: _Frame, passed: float) -> FloatArray:
    """The overlap [tracks, detections] of where each track should be with each detection; -1 for another class."""
    margin = min(max(passed - _DENSE_PERIOD, 0) * _MARGIN_A_SECOND, _GREATEST_MARGIN)
    expected, found = kalman.to_boxes(tracks.filters), frame.boxes
    if margin > 0:
        expected, found = grown(expected, margin), grown(found, margin)
    similarity = iou_matrix(expected, found)
    similarity[tracks.classes[:, None] != frame.classes[None, :]] = -1.0
    return similarity


def _associate(found: IntArray, similarity: FloatArray, tracks: BoolArray, detections: BoolArray, least: float) -> None:
    """Match the tracks and detections marked that have no partner in `found` yet, and write the pairs into it."""
    taken = np.zeros(len(detections), np.bool_)
    taken[found[found >= 0]] = True
    rows = (tracks & (found < 0)).nonzero()[0]
    columns = (detections & ~taken).nonzero()[0]
    if len(rows) and len(columns):
        pair_rows, pair_columns = assign(similarity[rows[:, None], columns], least)
        found[rows[pair_rows]] = columns[pair_columns]


def _doubles(tracks: Tracks, overlap: float) -> BoolArray:
    """Of a seen and a lost track of one class that lie on each other, the one that has been followed for less long."""
    seen, lost = (tracks.states == SEEN).nonzero()[0], (tracks.states == LOST).nonzero()[0]
    double = np.zeros(len(tracks), np.bool_)
    if not (len(seen) and len(lost)):
        return double
    boxes = kalman.to_boxes(tracks.filters)
    close = iou_matrix(boxes[seen], boxes[lost]) > overlap
    close &= tracks.classes[seen][:, None] == tracks.classes[lost][None, :]
    followed = tracks.age - tracks.unseen
    lost_goes = close & (followed[seen][:, None] >= followed[lost][None, :])
    double[lost[lost_goes.any(axis=0)]] = True
    double[seen[(close & ~lost_goes).any(axis=1)]] = True
    return double
