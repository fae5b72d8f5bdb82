"""The objects of one frame: filtered, tracked, and as result documents."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from videofleet_api.steps import Results
from videofleet_worker.models.detections import FloatArray
from videofleet_worker.outputs.annotate import Mark
from videofleet_worker.pipeline.findings import Details, Findings, matching
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.tracking.choice import tracker_of

_LONGEST_LABEL: Final = 32
"""Characters of a text in a picture."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object: `box` as x1, y1, x2, y2 in pixels of the frame, `track_id` 0 while it has none.

    `parent` is the track of the object that it was found in, 0 for none; `details` are further fields of its target.
    """

    track_id: int
    label: str
    confidence: float
    box: tuple[float, float, float, float]
    parent: int = 0
    details: Details = field(default_factory=dict)

    def mark(self) -> Mark:
        """How it is drawn: with what is written on it, where that was read."""
        text = self.details.get("text")
        label = f"{self.label} {text.splitlines()[0][:_LONGEST_LABEL]}" if isinstance(text, str) else self.label
        return Mark(self.box, label, self.confidence, self.track_id)

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The box in whole pixels inside a frame of this size, at least one wide."""
        left, right = _span(self.box[0], self.box[2], width)
        top, bottom = _span(self.box[1], self.box[3], height)
        return left, top, right, bottom

    def target(self, width: int, height: int) -> dict[str, object]:
        """How it is told, as a `Target` document."""
        left, top, right, bottom = self.pixels(width, height)
        target: dict[str, object] = {"track_id": self.track_id} if self.track_id else {}
        if self.parent:
            target["parent_track_id"] = self.parent
        return target | {
            "class": self.label,
            "confidence": round(self.confidence, 4),
            "roi": {"left": left, "top": top, "width": right - left, "height": bottom - top},
            **self.details,
        }


def as_worded(objects: Sequence[FoundObject], words: Results) -> Sequence[FoundObject]:
    """The objects as results are to tell them: those that are to be told, by the names that were asked for."""
    if not words.tracked_only and not words.class_names:
        return objects
    return [
        replace(one, label=words.class_names.get(one.label, one.label))
        for one in objects
        if one.track_id or not words.tracked_only
    ]


class ObjectFinder:
    """One analytics over the frames of a stream: what its results have of the model's answer. Holds the tracker."""

    def __init__(self, plan: AnalyticsPlan, next_id: int) -> None:
        self._plan = plan
        self._tracker = None if plan.tracker is None else tracker_of(plan.tracker_name, plan.tracker, next_id=next_id)
        self._highest_before = next_id - 1
        self._field: tuple[int, int] | None = None

    @property
    def highest_id(self) -> int:
        """The highest track id given so far, 0 for none."""
        return self._highest_before if self._tracker is None else self._tracker.highest_id

    def followed(self) -> frozenset[int]:
        """The tracks that are there, those that may be seen again among them."""
        return frozenset() if self._tracker is None else self._tracker.followed

    def use(self, plan: AnalyticsPlan) -> None:
        """Go on with other settings; tracks and their numbers stay, but another tracker begins with new ones."""
        before, self._plan = self._plan, plan
        if self._tracker is None or plan.tracker is None:
            return
        if plan.tracker_name == before.tracker_name:
            self._tracker.use(plan.tracker)
        else:
            self._tracker = tracker_of(plan.tracker_name, plan.tracker, next_id=self._tracker.highest_id + 1)

    def find(self, findings: Findings, width: int, height: int, pts: float) -> list[FoundObject]:
        """The objects of the next frame, what the first step found first, best confidence first."""
        boxes = findings.detections.scaled(width, height)
        if self._field is None:
            self._field = width, height
        # Tracks stay where they are when pictures come in another size.
        places = boxes if self._field == (width, height) else findings.detections.scaled(*self._field)
        return self._objects(findings, boxes.tolist(), self._track(findings, places, pts))

    def _track(self, findings: Findings, boxes: FloatArray, pts: float) -> list[int]:
        """The track of each object, 0 for none."""
        ids = np.zeros(len(boxes), np.int64)
        if self._tracker is not None:
            followed = matching(self._plan.tracked, findings.detections)
            followed[len(boxes) if findings.trackable is None else findings.trackable :] = False
            mine = findings.detections.select(followed)
            looks = [findings.looks.get(row) for row in np.flatnonzero(followed).tolist()] if findings.looks else ()
            ids[followed] = self._tracker.update(boxes[followed], mine.scores, mine.classes, pts, looks)
        return ids.tolist()

    def _objects(self, findings: Findings, boxes: list[list[float]], ids: Sequence[int]) -> list[FoundObject]:
        labels, parents, first = self._plan.labels, findings.parents, self._plan.wanted.confidence
        rows = zip(findings.detections.classes.tolist(), findings.detections.scores.tolist(), boxes, strict=True)
        return [
            FoundObject(
                ids[row],
                labels[class_id],
                score,
                (box[0], box[1], box[2], box[3]),
                ids[parents[row]] if row in parents else 0,
                findings.details.get(row, {}),
            )
            for row, (class_id, score, box) in enumerate(rows)
            # What a later step found has passed that step's own confidence.
            if row in parents or score >= first
        ]


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    first = min(max(round(low), 0), limit - 1)
    return first, min(max(round(high), first + 1), limit)
