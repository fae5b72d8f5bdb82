"""Detection and tracking together on the sample clip."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.support.plain_ocsort import PlainOcSort
from tests.support.plain_tracking import PlainByteTrack, Seen
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import Images
from videofleet_worker.tracking.bytetrack import ByteTracker
from videofleet_worker.tracking.choice import TrackerName, tracker_of
from videofleet_worker.tracking.settings import TrackerSettings


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


@pytest.mark.parametrize(("name", "plain"), [("bytetrack", PlainByteTrack), ("ocsort", PlainOcSort)])
def test_real_people_get_the_ids_of_the_papers(
    detector: Detector,
    read_clip: Callable[[int, int], Iterator[tuple[float, Images]]],
    name: TrackerName,
    plain: type[PlainByteTrack],
) -> None:
    ours, told = tracker_of(name, TrackerSettings()), plain(TrackerSettings())
    for pts, image in read_clip(90, 130):
        found = detector.answer(image[None], [DetectionQuery(0.2, 0.5, (0,))])[0]
        boxes = found.scaled(768, 576)
        seen = [
            Seen((box[0], box[1], box[2], box[3]), score, 0)
            for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True)
        ]
        assert ours.update(boxes, found.scores, found.classes, pts).tolist() == told.update(seen, pts)
    assert ours.highest_id == told.highest > 5
