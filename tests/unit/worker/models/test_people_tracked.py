"""Detection and tracking together on the sample clip."""

from collections import Counter
from collections.abc import Callable, Iterator

from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import Images
from videofleet_worker.tracking.bytetrack import ByteTracker


def test_people_keep_their_ids_over_four_seconds(
    detector: Detector, read_clip: Callable[[int, int], Iterator[tuple[float, Images]]]
) -> None:
    tracker = ByteTracker()
    seen: Counter[int] = Counter()
    query = DetectionQuery(0.2, 0.5, (0,))
    for pts, image in read_clip(90, 130):
        found = detector.answer(image[None], [query])[0]
        ids = tracker.update(found.scaled(768, 576), found.scores, found.classes, pts)
        seen.update(ids[ids > 0].tolist())
    # Six people are in the open all the time, others come and go behind a lamp post and at the edge.
    assert sum(frames >= 35 for frames in seen.values()) >= 5
    assert len(seen) <= 12
