"""What a tracker is shown: the detections of one frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from videofleet_worker.boxes import edges_of
from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.looks import Look, look_of

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """Detections by falling score; `order` are the places they were given at, None where they came so.

    `measured` and `boxes` are arrays [n, 4] of x, y, a, h and x1, y1, x2, y2, `edges` are those of the boxes, [4, n].
    `looks` is empty where nobody goes by them.
    """

    measured: FloatArray
    boxes: FloatArray
    edges: FloatArray
    scores: list[float]
    classes: list[int]
    order: list[int] | None
    looks: Sequence[Look | None] = ()

    def as_given(self, ids: list[int]) -> IntArray:
        """Numbers of the detections in the order that these were given in."""
        if self.order is None:
            return np.array(ids, np.int64)
        given = np.empty(len(ids), np.int64)
        given[self.order] = ids
        return given

    def with_looks(self, vectors: Sequence[npt.ArrayLike | None], least: float) -> "Frame":
        """The same frame with the looks of those detections that have at least this score.

        One of low score is often half hidden, and looks like what hides it. `vectors` are in the order in which the
        detections were given; ValueError where there are more or fewer.
        """
        if len(vectors) != len(self.scores):
            raise ValueError(f"{len(vectors)} vectors and {len(self.scores)} boxes do not belong together")
        ordered = vectors if self.order is None else [vectors[place] for place in self.order]
        looks = [look_of(one) if score >= least else None for one, score in zip(ordered, self.scores, strict=True)]
        return replace(self, looks=looks)


def frame_of(boxes: npt.ArrayLike, scores: npt.ArrayLike, classes: npt.ArrayLike) -> Frame:
    """The frame in an order that does not depend on the order given. ValueError for what cannot be tracked."""
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    score: list[float] = np.asarray(scores, np.float64).reshape(-1).tolist()
    kind: list[int] = np.asarray(classes).reshape(-1).astype(np.int64, copy=False).tolist()
    if not len(given) == len(score) == len(kind):
        raise ValueError(f"{len(given)} boxes, {len(score)} scores and {len(kind)} classes do not belong together")
    ordered, order = given, None
    if not all(map(float.__gt__, score, score[1:])):
        order = _order(given, score, kind)
        ordered, score, kind = given[order], [score[place] for place in order], [kind[place] for place in order]
    edges = edges_of(ordered)
    size = edges[2:] + edges[:2]
    # A coordinate that is no number or infinite makes a size so.
    if score and not (
        np.minimum.reduce(size, axis=None) > 0 and math.isfinite(np.add.reduce(size, axis=None) + sum(score))
    ):
        _refuse(given, np.asarray(scores, np.float64).reshape(-1).tolist())
    return Frame(kalman.measurements(edges, size), ordered, edges, score, kind, order)


def _order(boxes: FloatArray, scores: list[float], classes: list[int]) -> list[int]:
    """The places by falling score; where two are equal, which is rare, the box and the class decide."""
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    if len(set(scores)) == len(scores):
        return order
    rows = boxes.tolist()
    return sorted(order, key=lambda place: (-scores[place], rows[place][::-1], classes[place]))


def _refuse(boxes: FloatArray, scores: list[float]) -> None:
    """Raise ValueError for the first detection that cannot be tracked, if there is one."""
    for row, (box, score) in enumerate(zip(boxes.tolist(), scores, strict=True)):
        if not (all(map(math.isfinite, (*box, score))) and box[0] < box[2] and box[1] < box[3]):
            raise ValueError(
                f"detection {row} cannot be tracked: box {box} with score {score}; all numbers must "
                "be finite, x1 below x2 and y1 below y2"
            )
