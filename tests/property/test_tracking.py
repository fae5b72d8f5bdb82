"""What holds of the tracker whatever it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import get_args

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plain_ocsort import PlainOcSort
from tests.support.plain_tracking import PlainByteTrack, Seen
from videofleet_worker.tracking.bytetrack import ByteTracker
from videofleet_worker.tracking.choice import TrackerName, tracker_of
from videofleet_worker.tracking.follower import Follower
from videofleet_worker.tracking.ocsort import OcSortTracker
from videofleet_worker.tracking.settings import LookSettings, TrackerSettings

SETTINGS = TrackerSettings(high_score=0.5, low_score=0.2, new_track_score=0.6, lost_seconds=0.5)

# Frames as the seconds passed before each and its objects: left, top, width, height, score in thousandths, class.
Clip = list[tuple[float, list[tuple[float, float, float, float, int, int]]]]


@dataclass(frozen=True)
class Shown:
    """One frame's detections, no two of them alike."""

    pts: float
    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]


# Coarse steps, so that objects often meet, overlap and come back; fine scores, so that no two are equal.
_corner = st.integers(0, 30).map(lambda step: step * 10.0)
_size = st.integers(2, 8).map(lambda step: step * 10.0)
_object = st.tuples(_corner, _corner, _size, _size, st.integers(0, 1000), st.integers(0, 1))
_objects = st.lists(_object, max_size=6, unique_by=lambda one: one[4])
_clip = st.lists(st.tuples(st.sampled_from([0.0, 0.04, 0.1, 0.4, 1.0]), _objects), min_size=1, max_size=8)


_name = st.sampled_from(get_args(TrackerName))

Vectors = Sequence[npt.NDArray[np.float64] | None]
_looks = st.builds(LookSettings, st.just("any"), st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 1, exclude_max=True))


def some_vectors(frame: Shown, random: np.random.Generator) -> Vectors:
    """Of a few looks that objects may have; some have none."""
    looks = random.normal(size=(3, 4))
    return [None if one == 3 else looks[one] for one in random.integers(0, 4, len(frame.boxes))]


def frames(clip: Clip) -> list[Shown]:
    shown, pts = [], 0.0
    for passed, objects in clip:
        pts += passed
        table = np.array(objects, np.float64).reshape(-1, 6)
        boxes = np.concatenate((table[:, :2], table[:, :2] + table[:, 2:4]), axis=1)
        shown.append(Shown(pts, boxes, table[:, 4] / 1000, table[:, 5].astype(np.int64)))
    return shown


def track(tracker: Follower, frame: Shown, vectors: Vectors = ()) -> npt.NDArray[np.int64]:
    return tracker.update(frame.boxes, frame.scores, frame.classes, frame.pts, vectors)


@given(_name, _clip)
def test_an_id_is_at_most_once_in_a_frame(name: TrackerName, clip: Clip) -> None:
    tracker = tracker_of(name, SETTINGS)
    for frame in frames(clip):
        ids = track(tracker, frame)
        given_out = ids[ids > 0].tolist()
        assert len(ids) == len(frame.boxes)
        assert len(set(given_out)) == len(given_out)


@given(_name, _clip, st.integers(1, 1000))
def test_ids_rise_from_the_first_on_without_gaps(name: TrackerName, clip: Clip, next_id: int) -> None:
    tracker = tracker_of(name, SETTINGS, next_id=next_id)
    known: set[int] = set()
    for frame in frames(clip):
        new = set(track(tracker, frame).tolist()) - known - {0}
        assert new == set(range(next_id + len(known), next_id + len(known) + len(new)))
        known |= new
        assert tracker.highest_id == next_id + len(known) - 1


@given(_name, _clip)
def test_a_track_has_one_class_and_low_scores_never_begin_one(
    name: TrackerName,
    clip: Clip,
) -> None:
    tracker = tracker_of(name, SETTINGS)
    classes: dict[int, int] = {}
    for frame in frames(clip):
        for number, kind, score in zip(track(tracker, frame), frame.classes, frame.scores, strict=True):
            if number == 0:
                continue
            assert score >= SETTINGS.low_score
            assert int(number) in classes or score >= SETTINGS.high_score
            assert classes.setdefault(int(number), int(kind)) == kind


@given(_name, _clip, st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_matter(name: TrackerName, clip: Clip, random: Random) -> None:
    straight, mixed = tracker_of(name, SETTINGS), tracker_of(name, SETTINGS)
    for frame in frames(clip):
        order = list(range(len(frame.boxes)))
        random.shuffle(order)
        shuffled = Shown(frame.pts, frame.boxes[order], frame.scores[order], frame.classes[order])
        np.testing.assert_array_equal(track(mixed, shuffled), track(straight, frame)[order])


@given(_name, _clip, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_the_unit_of_length_does_not_matter(name: TrackerName, clip: Clip, scale: float) -> None:
    here, there = tracker_of(name, SETTINGS), tracker_of(name, SETTINGS)
    for frame in frames(clip):
        moved = Shown(frame.pts, frame.boxes * scale, frame.scores, frame.classes)
        np.testing.assert_array_equal(track(here, frame), track(there, moved))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.04, 1 / 30, 0.1]))
def test_it_is_the_tracker_of_the_paper_told_step_by_step(seed: int, period: float) -> None:
    agree_on_a_drawn_scene(ByteTracker(SETTINGS), PlainByteTrack(SETTINGS), seed, period)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.04, 1 / 30, 0.1]))
def test_oc_sort_is_that_of_its_paper_told_step_by_step(seed: int, period: float) -> None:
    agree_on_a_drawn_scene(OcSortTracker(SETTINGS), PlainOcSort(SETTINGS), seed, period, crowded=True)


def agree_on_a_drawn_scene(
    ours: Follower, plain: PlainByteTrack, seed: int, period: float, *, crowded: bool = False
) -> None:
    """Five that cross each other, are missed, and seen badly; where it is crowded, all alike, who turn and hide."""
    random = np.random.default_rng(seed)
    corners, speeds = random.uniform(0, 80 if crowded else 200, (5, 2)), random.normal(0, 4, (5, 2))
    sizes, kinds = random.uniform(40, 55 if crowded else 90, (5, 2)), random.integers(0, 1 if crowded else 2, 5)
    hidden = np.zeros(5)
    for number in range(40 if crowded else 25):
        corners += speeds
        shown = random.permutation(5)[: random.integers(0, 6)]
        if crowded:
            speeds[random.random(5) < 0.1] *= -1
            hidden = np.where((hidden == 0) & (random.random(5) < 0.08), random.integers(2, 12, 5), hidden - 1).clip(0)
            shown = np.flatnonzero(hidden == 0)
        left_top = corners[shown] + random.normal(0, 3, (len(shown), 2))
        boxes = np.concatenate((left_top, left_top + sizes[shown]), axis=1)
        scores = np.where(random.random(len(shown)) < 0.25, 0.3, 0.7) + random.uniform(-0.15, 0.2, len(shown))
        ids = ours.update(boxes, scores, kinds[shown], number * period)
        rows = zip(boxes.tolist(), scores.tolist(), kinds[shown].tolist(), strict=True)
        assert ids.tolist() == plain.update(
            [Seen(tuple(box), score, kind) for box, score, kind in rows], number * period
        )
    assert ours.highest_id == plain.highest


@given(_name, _clip, _looks, st.integers(0, 2**32 - 1))
def test_vectors_change_nothing_where_looks_do_not_count(
    name: TrackerName, clip: Clip, looks: LookSettings, seed: int
) -> None:
    """Without the setting, and with it as long as nobody has a vector."""
    random = np.random.default_rng(seed)
    plain, unasked = tracker_of(name, SETTINGS), tracker_of(name, SETTINGS)
    without, blind = (tracker_of(name, replace(SETTINGS, looks=looks)) for _ in range(2))
    for frame in frames(clip):
        ids = track(plain, frame)
        np.testing.assert_array_equal(track(unasked, frame, some_vectors(frame, random)), ids)
        np.testing.assert_array_equal(track(without, frame), ids)
        np.testing.assert_array_equal(track(blind, frame, [None] * len(frame.boxes)), ids)


@given(_name, _clip, _looks, st.integers(0, 2**32 - 1))
def test_with_looks_no_id_is_shared_or_comes_back_as_another_class(
    name: TrackerName, clip: Clip, looks: LookSettings, seed: int
) -> None:
    random, tracker = np.random.default_rng(seed), tracker_of(name, replace(SETTINGS, looks=looks))
    classes: dict[int, int] = {}
    for frame in frames(clip):
        ids = track(tracker, frame, some_vectors(frame, random))
        told = [(int(number), int(kind)) for number, kind in zip(ids, frame.classes, strict=True) if number]
        assert len(dict(told)) == len(told)
        assert all(classes.setdefault(number, kind) == kind for number, kind in told)
    assert set(classes) == set(range(1, tracker.highest_id + 1))


@given(_name, _clip, _looks, st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_the_order_of_detections_and_the_length_of_vectors_do_not_matter(
    name: TrackerName, clip: Clip, looks: LookSettings, seed: int, length: float
) -> None:
    random = np.random.default_rng(seed)
    straight, mixed = (tracker_of(name, replace(SETTINGS, looks=looks)) for _ in range(2))
    for frame in frames(clip):
        order, vectors = random.permutation(len(frame.boxes)), some_vectors(frame, random)
        ids = track(straight, frame, vectors)
        shuffled = Shown(frame.pts, frame.boxes[order], frame.scores[order], frame.classes[order])
        longer = [None if vectors[place] is None else vectors[place] * length for place in order.tolist()]
        np.testing.assert_array_equal(track(mixed, shuffled, longer), ids[order])
