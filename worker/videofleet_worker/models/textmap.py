"""Lines of text in a map that says for each pixel how likely it is text."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from videofleet_worker.models.detections import FloatArray, RawDetections

_TEXT = 0.3
"""From this value on a pixel is text. The values here are those of PaddleOCR."""
_GROWN = 1.6
"""The map shows lines shrunk: a box grows on each side by its area times this over its perimeter (Vatti clipping)."""
_LEAST_SIDE = 3
Span = tuple[int, int, int]
"""Row, first column, column after the last."""


def read_text_map(likely: FloatArray) -> RawDetections:
    """A box for each connected area of text in a map [h, w], upright, with the mean value inside as its score."""
    boxes, scores = [], []
    for left, top, right, bottom in areas(likely > _TEXT):
        if min(right - left, bottom - top) < _LEAST_SIDE:
            continue
        inside = likely[top:bottom, left:right]
        grown = (right - left) * (bottom - top) * _GROWN / (2 * (right - left + bottom - top))
        boxes.append((left - grown, top - grown, right + grown, bottom + grown))
        scores.append(float(inside[inside > _TEXT].mean()))
    return RawDetections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1, 1))


def areas(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each area of a mask whose pixels touch, corners included."""
    spans = list(_spans(mask))
    parents = list(range(len(spans)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    above: list[int] = []
    here: list[int] = []
    row = -1
    for number, (at, first, end) in enumerate(spans):
        if at != row:
            above, here, row = (here if at == row + 1 else []), [], at
        here.append(number)
        for other in above:
            if spans[other][1] <= end and spans[other][2] >= first:
                parents[root(other)] = root(number)
    boxes: dict[int, tuple[int, int, int, int]] = {}
    for number, (at, first, end) in enumerate(spans):
        left, top, right, bottom = boxes.get(root(number), (first, at, end, at + 1))
        boxes[root(number)] = min(left, first), min(top, at), max(right, end), max(bottom, at + 1)
    return list(boxes.values())


def _spans(mask: npt.NDArray[np.bool_]) -> Iterator[Span]:
    """The runs of set pixels, row by row from left to right."""
    framed = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    framed[:, 1:-1] = mask
    rows, changes = np.nonzero(np.diff(framed, axis=1))
    yield from zip(rows[::2].tolist(), changes[::2].tolist(), changes[1::2].tolist(), strict=True)
