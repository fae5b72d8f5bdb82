"""From a model's whole answer to the few boxes that count."""

import numpy as np

from videofleet_worker.models.detections import DetectionQuery, Detections, FloatArray, RawDetections
from videofleet_worker.models.nms import suppress

# So many boxes at most enter the suppression, whose cost grows with their square. NanoDet's own limit is 1000.
MOST_CANDIDATES = 1000


def decode(raw: RawDetections, query: DetectionQuery, size: tuple[int, int]) -> Detections:
    """The objects in an answer whose boxes are in pixels of `size` (width, height) and whose scores are 0..1.

    An anchor counts as its best class only, so that asking for fewer classes never renames an object.
    """
    found = _candidates(raw, query)
    kept = found.select(suppress(found.boxes, found.scores, found.classes, query.iou))
    return _within_image(kept, size)


def _candidates(raw: RawDetections, query: DetectionQuery) -> Detections:
    """The anchors whose best class is wanted and scores at least `confidence`, their boxes as they are."""
    # Comparing only what is wanted and looking only at the hits is many times cheaper than a maximum a row.
    wanted = raw.scores if query.class_ids is None else raw.scores[:, query.class_ids]
    anchors = np.flatnonzero((wanted >= np.float32(query.confidence)).any(axis=1))
    scores = raw.scores[anchors]
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(anchors)), classes]
    found = Detections(raw.boxes[anchors], best, classes)
    if query.class_ids is not None:
        found = found.select(np.isin(found.classes, query.class_ids))
    if len(found) > MOST_CANDIDATES:
        found = found.select(np.argsort(-found.scores, kind="stable")[:MOST_CANDIDATES])
    return found


def _within_image(found: Detections, size: tuple[int, int]) -> Detections:
    """Boxes as shares of the image, cut at its edges; those outside it go."""
    width, height = size
    boxes: FloatArray = np.clip(found.scaled(1 / width, 1 / height), 0, 1)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(boxes, found.scores, found.classes).select(inside)
