"""The filters of two states a coordinate, beside the filter of eight states that they stand for."""

import numpy as np

from tests.support.plain_tracking import EightStates
from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.kalman import FloatArray


def some_boxes(random: np.random.Generator, count: int) -> FloatArray:
    corner = random.uniform(0, 1000, (count, 2))
    return np.concatenate((corner, corner + random.uniform(10, 300, (count, 2))), axis=1)


def test_it_is_the_filter_of_eight_states() -> None:
    random = np.random.default_rng(7)
    measured = kalman.to_measurements(some_boxes(random, 12))
    filters = kalman.initiate(measured)
    plain = [EightStates(row) for row in measured]
    for steps in (1.0, 1.0, 3.0, 0.5, 30.0, 1.0):
        filters = kalman.predict(filters, steps)
        measured = measured + random.normal(0, 3, measured.shape) * [1, 1, 0.01, 1]
        filters = kalman.correct(filters, measured)
        for one, row in zip(plain, measured, strict=True):
            one.predict(steps)
            one.correct(row)
    diagonal = np.arange(4)
    for index, one in enumerate(plain):
        np.testing.assert_allclose(filters[index, kalman.VALUE], one.mean[:4])
        np.testing.assert_allclose(filters[index, kalman.SPEED], one.mean[4:], atol=1e-12)
        np.testing.assert_allclose(filters[index, kalman.VALUE_VARIANCE], one.covariance[diagonal, diagonal])
        np.testing.assert_allclose(filters[index, kalman.COVARIANCE], one.covariance[diagonal, diagonal + 4])
        np.testing.assert_allclose(filters[index, kalman.SPEED_VARIANCE], one.covariance[diagonal + 4, diagonal + 4])
        np.testing.assert_allclose(one.covariance[0, [1, 2, 3, 5, 6, 7]], 0, atol=1e-9)


def test_boxes_survive_the_way_there_and_back() -> None:
    boxes = some_boxes(np.random.default_rng(3), 20)
    np.testing.assert_allclose(kalman.to_boxes(kalman.initiate(kalman.to_measurements(boxes))), boxes)


def test_a_steady_motion_is_learnt_and_carried_on() -> None:
    first = np.array([[0.0, 0.0, 40.0, 100.0]])
    motion = np.array([2.0, 1.0, 2.0, 1.0])
    filters = kalman.initiate(kalman.to_measurements(first))
    for frame in range(1, 40):
        filters = kalman.predict(filters, 1)
        filters = kalman.correct(filters, kalman.to_measurements(first + frame * motion))
    np.testing.assert_allclose(filters[0, kalman.SPEED][:2], [2.0, 1.0], rtol=0.02)
    later = kalman.predict(filters, 10)
    np.testing.assert_allclose(kalman.to_boxes(later)[0], first[0] + 49 * motion, atol=1.0)
    assert (later[:, kalman.VALUE_VARIANCE] > filters[:, kalman.VALUE_VARIANCE]).all()


def test_many_short_steps_and_one_long_one_agree() -> None:
    filters = kalman.initiate(kalman.to_measurements(np.array([[0.0, 0.0, 40.0, 100.0]])))
    stepwise = filters
    for _ in range(30):
        stepwise = kalman.predict(stepwise, 1)
    np.testing.assert_allclose(kalman.predict(filters, 30), stepwise, rtol=1e-9)
