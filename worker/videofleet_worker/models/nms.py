"""Suppression of boxes that show an object which a better box shows already."""

import numpy as np
import numpy.typing as npt

from videofleet_worker.boxes import iou_matrix
from videofleet_worker.models.detections import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]


def suppress(boxes: FloatArray, scores: FloatArray, classes: IntArray, iou: float) -> IntArray:
    """Indices of the boxes to keep, best score first; of equal scores the earlier one is the better.

    Greedy suppression a class: a box goes if it overlaps a better kept box of its own class by more than `iou`.
    It is computed for all boxes at once: start with all kept, let every kept box suppress those behind it, and
    repeat until nothing changes. That ends at the greedy answer after as many rounds as the longest chain of
    suppressions has links, mostly two or three ("Enhancing Geometric Factors in Model Learning and Inference for
    Object Detection and Instance Segmentation", Zheng et al. 2020, Cluster-NMS).

    Few different functions of NumPy, and none that is written in Python: right after a run of the model none of their
    code is in the processor's caches, and to fetch it takes longer than to do it.
    """
    order = (-scores).argsort(kind="stable")
    boxes, classes = boxes.take(order, axis=0), classes.take(order)
    overlaps = iou_matrix(boxes, boxes) > iou
    place = np.arange(len(order))
    overlaps &= place[:, None] < place
    if (classes != classes[:1]).any():
        overlaps &= classes[:, None] == classes
    kept: BoolArray = ~np.logical_or.reduce(overlaps, axis=0)
    while True:
        still_kept: BoolArray = ~np.logical_or.reduce(overlaps[kept], axis=0)
        if (still_kept == kept).all():
            return order[kept]
        kept = still_kept
