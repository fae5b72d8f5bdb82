"""Objects that move, cross, hide and come back."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from videofleet_worker.tracking.bytetrack import ByteTracker
from videofleet_worker.tracking.settings import TrackerSettings

SETTINGS = TrackerSettings(high_score=0.5, low_score=0.1, new_track_score=0.6, lost_seconds=1.0)
PERIOD = 0.1

Box = tuple[float, float, float, float]


def person(x: float, y: float = 100.0) -> Box:
    """A walking person of 40 by 100 pixels, seen from the left edge x."""
    return (x, y, x + 40, y + 100)


class Scene:
    """Frames at a fixed rate for one tracker."""

    def __init__(self, settings: TrackerSettings = SETTINGS, *, period: float = PERIOD, next_id: int = 1) -> None:
        self.tracker = ByteTracker(settings, next_id=next_id)
        self.period = period
        self.frame = 0

    def show(
        self, *boxes: Box, scores: Iterable[float] | None = None, classes: Iterable[int] | None = None
    ) -> list[int]:
        given = list(scores) if scores is not None else [0.9] * len(boxes)
        kinds = list(classes) if classes is not None else [0] * len(boxes)
        ids = self.tracker.update(np.array(boxes).reshape(-1, 4), given, kinds, self.frame * self.period)
        self.frame += 1
        return [int(number) for number in ids]

    def wait(self, frames: int) -> None:
        for _ in range(frames):
            assert self.show() == []


def test_one_who_walks_keeps_his_id() -> None:
    scene = Scene()
    assert [scene.show(person(8.0 * frame)) for frame in range(30)] == [[1]] * 30
    assert scene.tracker.highest_id == 1


def test_a_newcomer_gets_his_id_in_his_second_frame() -> None:
    scene = Scene()
    scene.show(person(0))
    assert scene.show(person(8), person(500)) == [1, 0]
    assert scene.show(person(16), person(508)) == [1, 2]


def test_a_single_false_detection_uses_up_no_id() -> None:
    scene = Scene()
    scene.show(person(0))
    assert scene.show(person(4), person(500)) == [1, 0]
    assert scene.show(person(8)) == [1]
    assert scene.show(person(12), person(700)) == [1, 0]
    assert scene.show(person(16), person(700)) == [1, 2]


def test_two_who_cross_keep_their_ids() -> None:
    scene = Scene()
    seen = [scene.show(person(12.0 * frame), person(480 - 12.0 * frame, 130)) for frame in range(41)]
    assert seen == [[1, 2]] * 41


def test_one_half_hidden_is_kept_by_low_scores() -> None:
    scene = Scene(TrackerSettings(high_score=0.5, low_score=0.1, new_track_score=0.6, lost_seconds=0.25))
    ids = []
    for frame in range(30):
        hidden = 10 <= frame < 20  # far longer than a lost track is kept
        ids.append(scene.show(person(6.0 * frame), scores=[0.2 if hidden else 0.9]))
    assert ids == [[1]] * 30


def test_without_low_scores_the_same_one_is_another() -> None:
    scene = Scene(TrackerSettings(high_score=0.5, low_score=0.3, new_track_score=0.6, lost_seconds=0.25))
    ids = [scene.show(person(6.0 * frame), scores=[0.2 if 10 <= frame < 20 else 0.9])[0] for frame in range(30)]
    assert ids[9] == 1
    assert ids[10:21] == [0] * 11
    assert ids[21:] == [2] * 9


def test_a_low_score_begins_no_track() -> None:
    scene = Scene()
    assert [scene.show(person(0), scores=[0.55]) for _ in range(5)] == [[0]] * 5
    assert scene.tracker.highest_id == 0


def test_one_behind_a_pillar_is_known_again() -> None:
    scene = Scene()
    for frame in range(15):
        scene.show(person(8.0 * frame))
    scene.wait(8)
    assert scene.show(person(8.0 * 23)) == [1]


def test_one_away_for_too_long_is_somebody_new() -> None:
    scene = Scene()
    for _ in range(15):
        scene.show(person(0))
    scene.wait(11)
    assert scene.show(person(0)) == [0]
    assert scene.show(person(0)) == [2]


def test_an_id_is_lost_by_time_and_not_by_frames() -> None:
    scene = Scene(period=1 / 50)
    for _ in range(15):
        scene.show(person(0))
    scene.wait(48)
    assert scene.show(person(0)) == [1]


def test_ids_begin_where_told_and_none_comes_twice() -> None:
    scene = Scene(next_id=41)
    given: set[int] = set()
    for round_ in range(5):
        ids = [scene.show(person(100.0 * round_), person(600)) for _ in range(3)][-1]
        assert given.isdisjoint(ids)
        given.update(ids)
        scene.wait(12)
    assert given == set(range(41, 51))
    assert scene.tracker.highest_id == 50


def test_a_track_never_changes_its_class() -> None:
    scene = Scene()
    assert scene.show(person(0), classes=[0]) == [1]
    assert scene.show(person(0), classes=[2]) == [0]
    assert scene.show(person(0), classes=[2]) == [2]


def test_people_once_a_second_keep_their_ids() -> None:
    """At a frame a second a walker has left his box before the next frame."""
    scene = Scene(TrackerSettings(high_score=0.5, low_score=0.1, new_track_score=0.6, lost_seconds=3.0), period=1.0)
    seen = [scene.show(person(60.0 * frame), person(900 - 60.0 * frame, 400)) for frame in range(12)]
    assert seen == [[1, 2]] * 12


def test_time_that_goes_back_is_no_harm() -> None:
    tracker = ByteTracker(SETTINGS)
    times = [100.0, 100.1, 3.0, 3.1, 3.1, 3.2]
    assert [tracker.update([person(0)], [0.9], [0], pts).tolist() for pts in times] == [[1]] * 6


def test_frames_without_anything() -> None:
    scene = Scene()
    scene.wait(3)
    assert scene.tracker.highest_id == 0
    assert scene.show(person(0)) == [0]
    assert scene.show(person(0)) == [1]


@pytest.mark.parametrize(
    ("box", "score"),
    [
        ((0, 0, math.nan, 10), 0.9),
        ((0, 0, math.inf, 10), 0.9),
        ((0, 0, 10, 10), math.nan),
        ((10, 0, 10, 10), 0.9),
        ((0, 10, 10, 0), 0.9),
    ],
)
def test_what_cannot_be_tracked_is_refused_and_changes_nothing(box: Box, score: float) -> None:
    scene = Scene()
    scene.show(person(0))
    with pytest.raises(ValueError, match="detection 1 cannot be tracked"):
        scene.tracker.update([person(0), box], [0.9, score], [0, 0], 50.0)
    scene.frame = 1
    assert scene.show(person(4)) == [1]


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 boxes, 2 scores and 1 classes do not belong together"):
        ByteTracker().update([person(0)], [0.9, 0.8], [0], 0.0)


@pytest.mark.parametrize("pts", [math.nan, math.inf])
def test_a_time_that_is_none_is_refused(pts: float) -> None:
    with pytest.raises(ValueError, match="pts is"):
        ByteTracker().update([person(0)], [0.9], [0], pts)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"low_score": -0.1}, "low_score is -0.1"),
        ({"high_overlap": 1.5}, "high_overlap is 1.5"),
        ({"lost_seconds": -1.0}, "lost_seconds is -1.0"),
        ({"lost_seconds": math.nan}, "lost_seconds is nan"),
        ({"low_score": 0.5, "high_score": 0.4}, "must not fall"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrackerSettings(**wrong)


def test_an_id_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="next_id is 0"):
        ByteTracker(next_id=0)
