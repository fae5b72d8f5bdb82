"""What each decoder named in `model.yaml` reads: the task it serves, and the tensors that it needs, by their part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Task = Literal["detection", "classification", "embedding", "text"]
Shape = tuple[int | None, ...]
"""Sides of a tensor, the number of images first; None where any will do."""


@dataclass(frozen=True)
class Layout:
    """`tensors` gives, by part, the shape that a tensor has for so many labels, and what its last word means."""

    task: Task
    tensors: Mapping[str, tuple[Callable[[int], Shape], str]]
    labelled: bool = True
    """Whether the numbers that the model gives mean labels."""


def _boxes(_: int) -> Shape:
    return None, None, 4


def _row_an_anchor(labels: int) -> Shape:
    return None, None, labels


def _row_an_object(_: int) -> Shape:
    return None, None, 6


_CORNERS: Final = "corners of a box"
LAYOUTS: Final[Mapping[str, Layout]] = {
    # Boxes as x1, y1, x2, y2 in pixels of the input, scores 0 to 1.
    "nanodet": Layout("detection", {"boxes": (_boxes, _CORNERS), "scores": (_row_an_anchor, "labels")}),
    # One column an anchor: centre, width and height in pixels, then the scores 0 to 1 (YOLOv8, YOLO11).
    "yolov8": Layout("detection", {"predictions": (lambda labels: (None, 4 + labels, None), "box and labels")}),
    # One row an anchor of the strides 8, 16, 32: offsets from its cell, whether there is an object, scores 0 to 1.
    "yolox": Layout(
        "detection", {"predictions": (lambda labels: (None, None, 5 + labels), "box, whether an object, labels")}
    ),
    # Boxes as centre, width and height in shares of the input, one logit a label; no suppression is needed.
    "rtdetr": Layout(
        "detection", {"boxes": (_boxes, "centre and size of a box"), "logits": (_row_an_anchor, "labels")}
    ),
    # One row an object: x1, y1, x2, y2 in pixels, its score, the number of its class from 0 (YOLOv10, YOLO26).
    "end2end": Layout("detection", {"predictions": (_row_an_object, "box, score and class")}),
    # The same with centre, width and height in shares of the input (RT-DETR as Ultralytics exports it).
    "rtdetr-end2end": Layout("detection", {"predictions": (_row_an_object, "box, score and class")}),
    # Boxes as y1, x1, y2, x2 in shares of the input, the score and the number of the class, counted from 1.
    "ssd": Layout(
        "detection",
        {
            "boxes": (_boxes, _CORNERS),
            "scores": (lambda _: (None, None), "a score a box"),
            "classes": (lambda _: (None, None), "a class a box"),
        },
    ),
    # As ssd, of one class.
    "faceboxes": Layout(
        "detection", {"boxes": (_boxes, _CORNERS), "scores": (lambda _: (None, None), "a score a box")}
    ),
    # For each pixel how likely it is text ("Differentiable Binarization", Liao et al. 2019).
    "db": Layout("detection", {"map": (lambda _: (None, 1, None, None), "one value a pixel")}),
    "classification": Layout("classification", {"scores": (lambda labels: (None, labels), "labels")}),
    "classification-logits": Layout("classification", {"scores": (lambda labels: (None, labels), "labels")}),
    "embedding": Layout("embedding", {"embedding": (lambda _: (None, None), "one vector an image")}, labelled=False),
    # For each place from left to right a probability a character, that of none first (Graves et al. 2006).
    "ctc": Layout("text", {"characters": (lambda labels: (None, None, 1 + labels), "none and the labels")}),
}


def fits(shape: Shape, wanted: Shape) -> bool:
    """Whether a tensor of this shape, as far as it is known, can be of the shape that is wanted."""
    return len(shape) == len(wanted) and all(
        None in (side, want) or side == want for side, want in zip(shape, wanted, strict=True)
    )


def written(shape: Shape) -> str:
    """The shape as a person reads it."""
    return f"[{', '.join('any' if side is None else str(side) for side in shape)}]"
