"""What a model says of one image, brought to one form: boxes in its pixels and a score a class.

One function for each decoder that `model.yaml` can name for a detection (layouts.py says what each of them is given),
of the model's answers, the size of the image and the number of labels.
"""

from collections.abc import Callable, Mapping

import numpy as np

from videofleet_worker.models.detections import FloatArray, RawDetections
from videofleet_worker.models.textmap import read_text_map

Answers = Mapping[str, FloatArray]
"""The tensors of one image by their part, without the dimension of the images."""
Size = tuple[int, int]
"""Width and height of the model's image in pixels."""
_STRIDES = (8, 16, 32)
_LEAST_LOGIT = -60.0


def _corners(answers: Answers, size: Size, labels: int) -> RawDetections:
    return RawDetections(answers["boxes"], answers["scores"])


def _yolov8(answers: Answers, size: Size, labels: int) -> RawDetections:
    rows = answers["predictions"].T
    return RawDetections(_from_centres(rows[:, :4]), np.ascontiguousarray(rows[:, 4:]))


def _yolox(answers: Answers, size: Size, labels: int) -> RawDetections:
    """Offsets from the cells' corners in strides, sizes as logarithms ("YOLOX", Ge et al. 2021)."""
    rows = answers["predictions"]
    cells, strides = _cells(size)
    centres = (rows[:, :2] + cells) * strides
    boxes = _from_centres(np.concatenate([centres, np.exp(rows[:, 2:4]) * strides], axis=1))
    return RawDetections(boxes, rows[:, 4:5] * rows[:, 5:])


def _cells(size: Size) -> tuple[FloatArray, FloatArray]:
    """Column and row of each anchor's cell [a, 2], and its stride [a, 1], stride by stride and row by row."""
    cells, strides = [], []
    for stride in _STRIDES:
        columns, rows = size[0] // stride, size[1] // stride
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
        cells.append(grid.astype(np.float32))
        strides.append(np.full((len(grid), 1), stride, np.float32))
    return np.concatenate(cells), np.concatenate(strides)


def _rtdetr(answers: Answers, size: Size, labels: int) -> RawDetections:
    boxes: FloatArray = _from_centres(answers["boxes"]) * np.array([*size, *size], np.float32)
    # Below that they are nothing in any case, and their exponential overflows.
    logits = np.maximum(answers["logits"], _LEAST_LOGIT)
    return RawDetections(boxes, (1 / (1 + np.exp(-logits))).astype(np.float32))


def _ssd(answers: Answers, size: Size, labels: int) -> RawDetections:
    scores = _scores_a_label(answers["scores"], answers["classes"] - 1, labels)
    return RawDetections(_from_shares(answers["boxes"], size), scores)


def _end2end(answers: Answers, size: Size, labels: int) -> RawDetections:
    rows = answers["predictions"]
    return RawDetections(rows[:, :4], _scores_a_label(rows[:, 4], rows[:, 5], labels))


def _rtdetr_end2end(answers: Answers, size: Size, labels: int) -> RawDetections:
    rows = answers["predictions"]
    boxes: FloatArray = _from_centres(rows[:, :4]) * np.array([*size, *size], np.float32)
    return RawDetections(boxes, _scores_a_label(rows[:, 4], rows[:, 5], labels))


def _scores_a_label(given: FloatArray, classes: FloatArray, labels: int) -> FloatArray:
    """Where a model gives one score and the number of its label, counted from 0; what is no label of ours has none."""
    numbers = classes.astype(np.int64)
    scores = np.zeros((len(numbers), labels), np.float32)
    known = np.flatnonzero((numbers >= 0) & (numbers < labels))
    scores[known, numbers[known]] = given[known]
    return scores


def _faceboxes(answers: Answers, size: Size, labels: int) -> RawDetections:
    return RawDetections(_from_shares(answers["boxes"], size), answers["scores"][:, None])


def _db(answers: Answers, size: Size, labels: int) -> RawDetections:
    return read_text_map(answers["map"][0])


def _from_centres(boxes: FloatArray) -> FloatArray:
    half = boxes[:, 2:4] / 2
    corners: FloatArray = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners


def _from_shares(boxes: FloatArray, size: Size) -> FloatArray:
    """From y1, x1, y2, x2 in shares of the image."""
    pixels: FloatArray = boxes[:, [1, 0, 3, 2]] * np.array([*size, *size], np.float32)
    return pixels


READERS: Mapping[str, Callable[[Answers, Size, int], RawDetections]] = {
    "nanodet": _corners,
    "yolov8": _yolov8,
    "yolox": _yolox,
    "rtdetr": _rtdetr,
    "end2end": _end2end,
    "rtdetr-end2end": _rtdetr_end2end,
    "ssd": _ssd,
    "faceboxes": _faceboxes,
    "db": _db,
}
