"""The objects of one frame: filtered, tracked, and as result documents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videofleet_worker.models.detections import Detections
from videofleet_worker.outputs.annotate import Mark
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.tracking.bytetrack import ByteTracker


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object: `box` as x1, y1, x2, y2 in pixels of the frame, `track_id` 0 while it has none."""

    track_id: int
    label: str
    confidence: float
    box: tuple[float, float, float, float]

    def mark(self) -> Mark:
        """How it is drawn."""
        return Mark(self.box, self.label, self.confidence, self.track_id)

    def target(self, width: int, height: int) -> dict[str, object]:
        """How it is told, as a `Target` document; the box in whole pixels inside the frame, at least one wide."""
        left, right = _span(self.box[0], self.box[2], width)
        top, bottom = _span(self.box[1], self.box[3], height)
        target: dict[str, object] = {"track_id": self.track_id} if self.track_id else {}
        return target | {
            "class": self.label,
            "confidence": round(self.confidence, 4),
            "roi": {"left": left, "top": top, "width": right - left, "height": bottom - top},
        }


class ObjectFinder:
    """One analytics over the frames of a stream: what its results have of the model's answer. Holds the tracker."""

    def __init__(self, plan: AnalyticsPlan, next_id: int) -> None:
        self._plan = plan
        self._tracker = None if plan.tracker is None else ByteTracker(plan.tracker, next_id=next_id)
        self._highest_before = next_id - 1

    @property
    def highest_id(self) -> int:
        """The highest track id given so far, 0 for none."""
        return self._highest_before if self._tracker is None else self._tracker.highest_id

    def use(self, plan: AnalyticsPlan) -> None:
        """Go on with other settings; tracks and their numbers stay."""
        self._plan = plan
        if self._tracker is not None and plan.tracker is not None:
            self._tracker.use(plan.tracker)

    def find(self, detections: Detections, width: int, height: int, pts: float) -> list[FoundObject]:
        """The objects of the next frame, best confidence first."""
        mine = detections.select(self._of_my_classes(detections))
        boxes = mine.scaled(width, height)
        # A box that the model squeezed to nothing at the picture's edge is no object.
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        mine, boxes = mine.select(solid), boxes[solid]
        ids = np.zeros(len(mine), np.int64)
        if self._tracker is not None:
            ids = self._tracker.update(boxes, mine.scores, mine.classes, pts)
        return self._objects(mine, boxes.tolist(), ids.tolist())

    def _of_my_classes(self, detections: Detections) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        mask = detections.scores >= self._plan.weakest
        if self._plan.wanted.class_ids is not None:
            mask &= np.isin(detections.classes, self._plan.wanted.class_ids)
        return mask

    def _objects(self, mine: Detections, boxes: list[list[float]], ids: Sequence[int]) -> list[FoundObject]:
        labels = self._plan.model.manifest.labels
        return [
            FoundObject(track_id, labels[class_id], score, (box[0], box[1], box[2], box[3]))
            for track_id, class_id, score, box in zip(
                ids, mine.classes.tolist(), mine.scores.tolist(), boxes, strict=True
            )
            if score >= self._plan.wanted.confidence
        ]


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    first = min(max(round(low), 0), limit - 1)
    return first, min(max(round(high), first + 1), limit)
