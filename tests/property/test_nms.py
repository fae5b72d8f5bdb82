"""Suppression of boxes, beside doing it one by one."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from videofleet_worker.boxes import iou_matrix
from videofleet_worker.models.detections import FloatArray, IntArray
from videofleet_worker.models.nms import suppress

Candidates = tuple[FloatArray, FloatArray, IntArray]

_row = st.tuples(
    st.integers(0, 20), st.integers(0, 20), st.integers(0, 8), st.integers(0, 8), st.integers(0, 20), st.integers(0, 2)
)
_overlap = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.9, 1.0])


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    """Boxes that overlap a lot, many scores equal, some boxes without area."""
    table = np.array(draw(st.lists(_row, max_size=25)), np.float32).reshape(-1, 6)
    boxes: FloatArray = np.concatenate((table[:, :2], table[:, :2] + table[:, 2:4]), axis=1)
    return boxes, (table[:, 4] / 20).astype(np.float32), table[:, 5].astype(np.int64)


def one_by_one(boxes: FloatArray, scores: FloatArray, classes: IntArray, iou: float) -> list[int]:
    overlaps = iou_matrix(boxes, boxes)
    kept: list[int] = []
    for one in sorted(range(len(scores)), key=lambda index: -scores[index]):
        if not any(classes[one] == classes[other] and overlaps[one, other] > iou for other in kept):
            kept.append(one)
    return kept


@given(candidates(), _overlap)
def test_the_same_as_one_by_one(found: Candidates, iou: float) -> None:
    assert suppress(*found, iou).tolist() == one_by_one(*found, iou)


@given(candidates(), _overlap)
def test_doing_it_again_changes_nothing(found: Candidates, iou: float) -> None:
    kept = suppress(*found, iou)
    again = suppress(found[0][kept], found[1][kept], found[2][kept], iou)
    assert again.tolist() == list(range(len(kept)))


@given(candidates())
def test_overlaps_are_symmetric_shares(found: Candidates) -> None:
    overlaps: npt.NDArray[np.float32] = iou_matrix(found[0], found[0])
    np.testing.assert_array_equal(overlaps, overlaps.T)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()
    solid = (found[0][:, 2:] > found[0][:, :2]).all(axis=1)
    np.testing.assert_allclose(overlaps.diagonal(), solid.astype(np.float32), atol=1e-6)
