"""Detection, tracking, lines and zones together on the sample clip, beside supervision's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import supervision as sv

from videofleet_worker.analytics.geometry import Polygons
from videofleet_worker.analytics.lines import LineWatch
from videofleet_worker.analytics.model import LineSettings, ZoneSettings
from videofleet_worker.analytics.sighting import Sighting, margins, standing_places
from videofleet_worker.analytics.watch import RegionWatch
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import Images
from videofleet_worker.tracking.bytetrack import ByteTracker

SIZE = (768, 576)
LOST_SECONDS = 2.0


@dataclass(frozen=True)
class Tracked:
    """The tracked people of a frame."""

    pts: float
    ids: list[int]
    boxes: npt.NDArray[np.float64]

    @property
    def detections(self) -> sv.Detections:
        ids = np.array(self.ids, np.int64)
        return sv.Detections(self.boxes.astype(np.float32), tracker_id=ids, class_id=np.zeros_like(ids))


@pytest.fixture(scope="module")
def tracked(detector: Detector, read_clip: Callable[[int, int], Iterator[tuple[float, Images]]]) -> list[Tracked]:
    """Twenty seconds. Who is hidden is where he was seen last until he is seen again, since supervision forgets at once
    who is not there."""
    return _without_gaps([*_tracked(detector, read_clip)])


def _without_gaps(frames: list[Tracked]) -> list[Tracked]:
    last = {track_id: number for number, frame in enumerate(frames) for track_id in frame.ids}
    places: dict[int, npt.NDArray[np.float64]] = {}
    filled = []
    for number, frame in enumerate(frames):
        places |= dict(zip(frame.ids, frame.boxes, strict=True))
        places = {track_id: box for track_id, box in places.items() if last[track_id] >= number}
        filled.append(Tracked(frame.pts, [*places], np.array([*places.values()]).reshape(-1, 4)))
    return filled


def _tracked(detector: Detector, read_clip: Callable[[int, int], Iterator[tuple[float, Images]]]) -> Iterator[Tracked]:
    tracker = ByteTracker()
    query = DetectionQuery(0.2, 0.5, (0,))
    for pts, image in read_clip(0, 200):
        found = detector.answer(image[None], [query])[0]
        boxes = found.scaled(*SIZE)
        ids = tracker.update(boxes, found.scores, found.classes, pts)
        shown = (ids > 0) & (found.scores >= 0.35)
        yield Tracked(pts, ids[shown].tolist(), boxes[shown].astype(np.float64))


@pytest.mark.parametrize(
    ("start", "end"),
    [((0.0, 0.4), (1.0, 0.4)), ((0.5, 0.0), (0.5, 1.0)), ((0.75, 0.0), (0.75, 1.0)), ((0.0, 0.0), (1.0, 1.0))],
    ids=["across", "down", "down the right", "from corner to corner"],
)
def test_people_over_a_line_are_those_that_supervision_counts(
    tracked: list[Tracked], start: tuple[float, float], end: tuple[float, float]
) -> None:
    line = LineSettings("line", start, end)
    places = [place * side for place, side in zip((*start, *end), SIZE * 2, strict=True)]
    theirs = sv.LineZone(
        sv.Point(places[0], places[1]),
        sv.Point(places[2], places[3]),
        triggering_anchors=[sv.Position.BOTTOM_CENTER],
    )
    bare, steady = LineWatch([line], []), RegionWatch([], [line], LOST_SECONDS)
    bare.add(1 + max(track_id for frame in tracked for track_id in frame.ids))
    for frame in tracked:
        theirs.trigger(frame.detections)
        rows, labels = np.array(frame.ids, np.int64), ["person"] * len(frame.ids)
        none = np.zeros(len(rows))
        bare.step(Sighting(rows, frame.ids, labels, standing_places(frame.boxes), none, SIZE, frame.pts))
        steady.update(frame.ids, labels, frame.boxes, SIZE, frame.pts)
    (exact,), (counted,) = bare.totals, steady.totals.lines
    assert exact.left_to_right.get("person", 0) == theirs.out_count
    assert exact.right_to_left.get("person", 0) == theirs.in_count
    assert counted.left_to_right.get("person", 0) <= theirs.out_count
    assert counted.right_to_left.get("person", 0) <= theirs.in_count


def test_people_in_a_zone_are_those_that_supervision_finds_but_for_the_border(tracked: list[Tracked]) -> None:
    corners = ((0.1, 0.3), (0.9, 0.25), (0.8, 0.9), (0.2, 0.8))
    theirs = sv.PolygonZone((np.array(corners) * SIZE).astype(int))
    outline = Polygons.of([corners], SIZE)
    watch = RegionWatch([ZoneSettings("zone", corners)], [], LOST_SECONDS)
    present: set[int] = set()
    compared = 0
    for frame in tracked:
        present ^= {
            one.track_id for one in watch.update(frame.ids, ["p"] * len(frame.ids), frame.boxes, SIZE, frame.pts)
        }
        # Nearer to the border it counts where somebody was before, and supervision draws in pixels.
        clear = outline.border_distances(standing_places(frame.boxes))[:, 0] > np.maximum(margins(frame.boxes), 2)
        found = theirs.trigger(frame.detections)
        compared += int(clear.sum())
        assert [track_id in present for track_id in np.array(frame.ids)[clear].tolist()] == found[clear].tolist()
    assert compared > 500
