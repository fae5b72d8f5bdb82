"""NanoDet on a real picture, beside the plainest reading of its answer."""

import numpy as np
import pytest

from videofleet_worker.models.classes import class_ids
from videofleet_worker.models.detections import DetectionQuery, Detections, RawDetections
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import Images

Found = list[tuple[int, float, tuple[float, ...]]]


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (area - width * height)


def read_naively(raw: RawDetections, query: DetectionQuery) -> Found:
    """Anchor by anchor and pair by pair, as one would write it down first."""
    candidates: Found = []
    for box, scores in zip(raw.boxes, raw.scores, strict=True):
        best = int(scores.argmax())
        if scores[best] >= query.confidence and (query.class_ids is None or best in query.class_ids):
            candidates.append((best, float(scores[best]), tuple(float(side) for side in box)))
    kept: Found = []
    for one in sorted(candidates, key=lambda candidate: -candidate[1]):
        if all(one[0] != other[0] or overlap(one[2], other[2]) <= query.iou for other in kept):
            kept.append(one)
    return [(kind, score, tuple(min(max(side / 416, 0), 1) for side in box)) for kind, score, box in kept]


def as_found(detections: Detections) -> Found:
    rows = zip(detections.classes, detections.scores, detections.boxes, strict=True)
    return [(int(kind), float(score), tuple(float(side) for side in box)) for kind, score, box in rows]


@pytest.mark.parametrize(
    "query",
    [
        DetectionQuery(0.35, 0.5),
        DetectionQuery(0.1, 0.6, (0,)),
        DetectionQuery(0.05, 0.3, (2, 7)),
        DetectionQuery(0.2, 1.0),
        DetectionQuery(0.2, 0.0),
    ],
)
def test_the_same_as_a_naive_reading(detector: Detector, street: Images, query: DetectionQuery) -> None:
    expected = read_naively(detector.infer(street[None])[0], query)
    found = as_found(detector.answer(street[None], [query])[0])
    assert [row[0] for row in found] == [row[0] for row in expected]
    np.testing.assert_allclose([row[1] for row in found], [row[1] for row in expected], rtol=1e-6)
    np.testing.assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-6)


def test_the_people_in_the_street_are_found(detector: Detector, street: Images) -> None:
    people = class_ids(detector.model.manifest, ["pedestrian"])
    found = detector.answer(street[None], [DetectionQuery(0.35, 0.5, people)])[0]
    assert len(found) >= 5
    assert (found.scores > 0.35).all()
    assert set(found.classes) == {0}
    boxes = found.scaled(768, 576)
    # One of them stands alone on the road at the right, in a dark jacket.
    assert np.abs(boxes - [588, 158, 620, 235]).max(axis=1).min() < 8
    assert ((boxes[:, 3] - boxes[:, 1]) < 100).all()


def test_images_of_a_batch_do_not_touch_each_other(detector: Detector, street: Images) -> None:
    query = detector.default_query()
    nothing, mirrored, same = detector.answer(
        np.stack([np.zeros_like(street), street[:, :, ::-1], street]), [query] * 3
    )
    alone = detector.answer(street[None], [query])[0]
    assert len(nothing) == 0
    np.testing.assert_allclose(same.boxes, alone.boxes, atol=1e-4)
    assert len(mirrored) >= 5
    assert not np.allclose(mirrored.boxes[0], alone.boxes[0], atol=0.01)


def test_each_image_has_its_own_query(detector: Detector, street: Images) -> None:
    everything, nothing = detector.answer(
        np.stack([street, street]), [DetectionQuery(0.35, 0.5), DetectionQuery(0.35, 0.5, ())]
    )
    assert len(everything) >= 5
    assert len(nothing) == 0


def test_scores_of_zero_do_not_take_all_memory(detector: Detector, street: Images) -> None:
    found = detector.answer(street[None], [DetectionQuery(0.0, 1.0)])[0]
    assert 0 < len(found) <= 1000
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(("confidence", "iou"), [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_query_out_of_range_is_refused(confidence: float, iou: float) -> None:
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        DetectionQuery(confidence, iou)
