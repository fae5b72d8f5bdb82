"""What the steps of an analytics made of one frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from videofleet_worker.models.detections import Detections, FloatArray, one_of
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.pipeline.stepplan import When

Details = Mapping[str, object]
"""Fields of a `Target` document besides those that every target has."""


@dataclass(frozen=True)
class Findings:
    """The objects of a frame; their classes are numbers of the analytics' labels, their boxes shares of the frame.

    `details` are by row. `parents` has, for a row that was found inside another object, that object's row. The tracker
    sees the first `trackable` rows; None: all. `looks` are vectors [d] by row, of those that were given one by the
    model that the tracker goes by.
    """

    detections: Detections
    details: Mapping[int, Details] = field(default_factory=dict)
    parents: Mapping[int, int] = field(default_factory=dict)
    trackable: int | None = None
    looks: Mapping[int, FloatArray] = field(default_factory=dict)


def own_detections(plan: AnalyticsPlan, detections: Detections) -> Detections:
    """Those of a model's detections that concern an analytics, also such as only its tracker sees."""
    mask = detections.scores >= plan.weakest
    if plan.wanted.class_ids is not None:
        mask &= one_of(detections.classes, plan.wanted.class_ids)
    # Most models are asked for just these.
    mine = detections if np.count_nonzero(mask) == len(mask) else detections.select(mask)
    # A box that the model squeezed to nothing at the picture's edge is no object.
    return mine.with_area()


def matching(when: When, detections: Detections) -> npt.NDArray[np.bool_]:
    """Which detections a step looks at."""
    # float32, as the scores are: 0.7 of a spec is a little more than the nearest such number.
    mask: npt.NDArray[np.bool_] = detections.scores >= np.float32(when.confidence)
    if when.classes is not None:
        mask &= one_of(detections.classes, when.classes)
    return mask
