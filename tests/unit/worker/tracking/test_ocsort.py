"""What OC-SORT does beyond overlap: momentum, recovery, the way over a gap."""

import numpy as np

from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.bytetrack import ByteTracker
from videofleet_worker.tracking.frame import Frame, frame_of
from videofleet_worker.tracking.ocsort import Observed, OcSortTracker
from videofleet_worker.tracking.settings import TrackerSettings

SETTINGS = TrackerSettings(high_score=0.5, low_score=0.1, new_track_score=0.6, lost_seconds=2.0)
PERIOD = 1 / 30


def person(x: float, y: float = 100.0) -> list[float]:
    return [x, y, x + 40, y + 100]


def shown(*boxes: list[float]) -> Frame:
    return frame_of(boxes, np.linspace(0.9, 0.8, len(boxes)), [0] * len(boxes))


def test_the_one_straight_on_is_taken_before_one_aside_that_overlaps_a_little_more() -> None:
    taken = []
    for tracker in (OcSortTracker(SETTINGS), ByteTracker(SETTINGS)):
        for frame in range(10):
            tracker.update([person(6.0 * frame)], [0.9], [0], frame * PERIOD)
        taken.append(tracker.update([person(70), person(60, 124)], [0.9, 0.89], [0, 0], 10 * PERIOD).tolist())
    assert taken == [[1, 0], [0, 1]]


def test_one_who_stopped_while_hidden_is_found_where_he_was_last_seen() -> None:
    tracker = OcSortTracker(SETTINGS)
    for frame in range(20):
        tracker.update([person(8.0 * frame)], [0.9], [0], frame * PERIOD)
    for frame in range(20, 32):  # where he would be by now is a hundred pixels on
        tracker.update(np.zeros((0, 4)), [], [], frame * PERIOD)
    assert tracker.update([person(8.0 * 19)], [0.9], [0], 32 * PERIOD).tolist() == [1]


def test_the_way_over_a_gap_is_the_filter_that_saw_every_step_of_it() -> None:
    tracks, steady = Observed(), Observed()
    for table in (tracks, steady):
        table.begin(shown(person(0)), [0], 0.0)
    for frame in (1, 2, 3, 4, 5):
        for table in (tracks, steady):
            table.filters = kalman.predict(table.filters, 1)
        steady.match(shown(person(6.0 * frame)), {0: 0}, [], frame * PERIOD)
        if frame == 1:
            tracks.match(shown(person(6.0)), {0: 0}, [], PERIOD)
        elif frame < 5:
            tracks.lose([0])
    tracks.match(shown(person(30.0)), {0: 0}, [], 5 * PERIOD)
    np.testing.assert_allclose(tracks.filters, steady.filters, rtol=1e-9, atol=1e-9)


def test_low_scores_keep_a_track_and_begin_none() -> None:
    tracker = OcSortTracker(SETTINGS)
    for frame in range(30):
        ids = tracker.update([person(3.0 * frame)], [0.9 if frame < 5 else 0.2], [0], frame * PERIOD)
        assert ids.tolist() == [1]
    assert tracker.update([person(600), person(90)], [0.2, 0.2], [0, 0], 1.0).tolist() == [0, 1]
