"""Which boxes overlap, beside looking at every pair."""

import numpy as np
import numpy.typing as npt
import pytest

from videofleet_worker.boxes import iou_matrix, overlapping


def some_boxes(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    corners = random.uniform(0, 400, (count, 2))
    return np.concatenate((corners, corners + random.uniform(1, 90, (count, 2))), axis=1)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 0), (5, 7), (64, 64), (65, 64), (150, 200)])
@pytest.mark.parametrize("least", [1e-6, 0.2, 0.8])
def test_few_or_many_the_same_pairs_are_found(first: int, second: int, least: float) -> None:
    random = np.random.default_rng(first)
    ours, others = some_boxes(random, first), some_boxes(random, second)
    rows, columns, overlaps = overlapping(ours, others, least)
    every = iou_matrix(ours, others)
    expected_rows, expected_columns = np.nonzero(every >= least)
    assert (rows.tolist(), columns.tolist()) == (expected_rows.tolist(), expected_columns.tolist())
    np.testing.assert_allclose(overlaps, every[rows, columns], rtol=1e-12)


def test_a_box_turned_inside_out_overlaps_nothing() -> None:
    """As a filter may believe of something that shrinks out of sight."""
    box = np.array([[0.0, 0, 10, 10]])
    inside_out = np.array([[6.0, 6, 4, 4], [6, 2, 4, 8]])
    assert [len(found) for found in overlapping(box, inside_out, 1e-6)] == [0, 0, 0]


def test_boxes_that_only_touch_or_are_empty_do_not_overlap() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [5, 5, 5, 5]])
    np.testing.assert_array_equal(iou_matrix(boxes, boxes), np.diag([1.0, 1.0, 0.0]))
