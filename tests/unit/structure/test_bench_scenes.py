"""What trackers are measured with is the same in every run, and what a detector could have told."""

import numpy as np

from tests.bench.data.scenes import Shown, crowd, degraded


def walkers() -> Shown:
    rows = [(frame, 50 * one, 10, 50 * one + 40, 110, one) for frame in range(40) for one in range(5)]
    return Shown(np.array(rows, np.float64), 40, 25.0)


def test_a_seed_is_a_degradation() -> None:
    first, again, other = (degraded(walkers(), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.rows, again.rows)
    assert first.rows.shape != other.rows.shape or (first.rows != other.rows).any()


def test_frames_come_in_order_with_the_best_score_first_and_boxes_with_an_area() -> None:
    for shown in (degraded(walkers(), 5), crowd(20, frames=30)):
        frames, scores = shown.rows[:, 0], shown.rows[:, 5]
        assert ((np.diff(frames) > 0) | ((np.diff(frames) == 0) & (np.diff(scores) <= 0))).all()
        assert (shown.rows[:, 3:5] > shown.rows[:, 1:3]).all()
        assert frames.max() < shown.frames
