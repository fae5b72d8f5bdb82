"""Whether two ways give the same result: objects found by the same model, box by box."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from videofleet_worker.boxes import iou_matrix
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.registry import BUILTIN_FOLDER, DEFAULT_MODELS, ModelRegistry

OVERLAP = 0.9
CLEAR, LEAST = 0.5, 0.35
PEOPLE = (0,)
ENOUGH = 0.95
"""Of the clearly seen objects so many must have their partner: a filter that is no other's copy moves a few."""

Boxes = npt.NDArray[np.float32]


class DisagreementError(Exception):
    """A measure is worth nothing: the results differ."""


def model_path() -> Path:
    """The detector that comes with the worker."""
    return ModelRegistry.load((BUILTIN_FOLDER,))[DEFAULT_MODELS["detect"]].path


def shared(ours: Sequence[tuple[Boxes, npt.NDArray[np.float32]]], theirs: Sequence[tuple[Boxes, object]]) -> float:
    """The share of our clearly seen objects that have a partner of theirs; boxes and scores, frame by frame."""
    hits = objects = 0
    for (boxes, scores), (others, _) in zip(ours, theirs, strict=True):
        clear = boxes[scores >= CLEAR]
        objects += len(clear)
        if len(clear) and len(others):
            hits += int((iou_matrix(clear, others).max(axis=1) >= OVERLAP).sum())
    return hits / objects if objects else 0.0


def agreement(ours: Path, theirs: Path) -> float:
    """Of tensors that both have made of the same frames: the lesser share of the objects of one that the other has."""
    one, other = (_found(path) for path in (ours, theirs))
    return min(shared(one, other), shared(other, one))


def must_agree(share: float, what: str, enough: float = ENOUGH) -> str:
    """The share in words. Raises DisagreementError where it is too small."""
    if share < enough:
        raise DisagreementError(f"{what}: only {share:.1%} of the clearly seen people are where the peer sees them")
    return f"{share:.1%} of the clearly seen people have a partner with an IoU of {OVERLAP:g}"


def _found(path: Path) -> list[tuple[Boxes, npt.NDArray[np.float32]]]:
    with np.load(path) as saved:
        tensors = saved["tensors"]
    query = DetectionQuery(LEAST, 0.5, PEOPLE)
    answers = [_detector().answer(tensor[None], [query])[0] for tensor in tensors]
    return [(one.boxes, one.scores) for one in answers]


@cache
def _detector() -> Detector:
    model = ModelRegistry.load((BUILTIN_FOLDER,))[DEFAULT_MODELS["detect"]]
    return Detector(model, ort.InferenceSession(str(model.path)))
