"""From a model's whole answer to the few boxes that count."""

import numpy as np

from videofleet_worker.models.detections import DetectionQuery, Detections, FloatArray, IntArray, RawDetections, one_of
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
    anchors = _hits(raw.scores, query)
    classes = raw.scores.take(anchors, axis=0).argmax(axis=1)
    if query.class_ids is not None:
        mine = one_of(classes, query.class_ids)
        anchors, classes = anchors[mine], classes[mine]
    found = Detections(raw.boxes.take(anchors, axis=0), raw.scores[anchors, classes], classes)
    if len(found) > MOST_CANDIDATES:
        found = found.select(np.argsort(-found.scores, kind="stable")[:MOST_CANDIDATES])
    return found


def _hits(scores: FloatArray, query: DetectionQuery) -> IntArray:
    """The anchors of which a wanted class scores at least `confidence`.

    Comparing only what is wanted and looking only at the hits is many times cheaper than a maximum a row.
    """
    least = np.float32(query.confidence)
    if query.class_ids is not None and len(query.class_ids) == 1:
        enough = scores[:, query.class_ids[0]] >= least
    else:
        wanted = scores if query.class_ids is None else scores[:, query.class_ids]
        enough = np.logical_or.reduce(wanted >= least, axis=1)
    hits: IntArray = enough.nonzero()[0]
    return hits


def _within_image(found: Detections, size: tuple[int, int]) -> Detections:
    """Boxes as shares of the image, cut at its edges; those outside it go."""
    width, height = size
    boxes = found.scaled(1 / width, 1 / height)
    np.minimum(boxes, 1, out=boxes)
    np.maximum(boxes, 0, out=boxes)
    return Detections(boxes, found.scores, found.classes).with_area()
