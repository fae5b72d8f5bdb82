"""Decoders of many families, each beside the plainest reading of the same tensors."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest

from tests.support.graphs import Array, always, describe, input_of
from tests.unit.worker.models.test_model_detector import Found, as_found, overlap
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import load_model
from videofleet_worker.models.session import SessionLimits, open_session

WIDTH, HEIGHT = 64, 48
LABELS = ["cat", "dog", "bird"]
QUERY = DetectionQuery(0.4, 0.5)
Box = tuple[float, float, float, float]
Rows = list[tuple[Box, list[float]]]
"""Left, top, right and bottom in pixels of the input, and a score a label."""


def detector_of(folder: Path, decoder: str, answers: Mapping[str, Array], **fields: Any) -> Detector:
    input_ = input_of(WIDTH, HEIGHT)
    always(folder, answers, **input_)
    thresholds = {"confidence": 0.4, "iou": 0.5}
    parts = {name: name for name in answers}
    given = {"input": input_, "labels": LABELS, "thresholds": thresholds} | fields
    model = load_model(describe(folder, "tiny", "detection", decoder, parts, **given))
    on_cpu = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
    return Detector(model, open_session(model, on_cpu, SessionLimits(threads=1)).session)


def read_naively(rows: Rows) -> Found:
    """The best label of each row, what overlaps a better one of its label left out, in shares of the image."""
    candidates = [(scores.index(max(scores)), max(scores), box) for box, scores in rows if max(scores) >= 0.4]
    kept: Found = []
    for one in sorted(candidates, key=lambda candidate: -candidate[1]):
        if all(one[0] != other[0] or overlap(one[2], other[2]) <= 0.5 for other in kept):
            kept.append(one)
    sides = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    shares = [
        (kind, score, tuple(min(max(side / size, 0), 1) for side, size in zip(box, sides, strict=True)))
        for kind, score, box in kept
    ]
    return [row for row in shares if row[2][0] < row[2][2] and row[2][1] < row[2][3]]


def around(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def yolov8(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    centres = random.uniform((5, 5, 4, 4), (60, 44, 30, 30), (40, 4))
    scores = random.beta(1, 2, (40, 3))
    predictions = np.concatenate([centres, scores], axis=1).T.astype(np.float32)
    rows = [(around(*map(float, column[:4])), [float(score) for score in column[4:]]) for column in predictions.T]
    return {"predictions": predictions}, rows


def yolox(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    cells = [(x, y, s) for s in (8, 16, 32) for y in range(HEIGHT // s) for x in range(WIDTH // s)]
    offsets = random.uniform((-0.5, -0.5, -1, -1), (1.5, 1.5, 1, 1), (len(cells), 4))
    predictions = np.concatenate([offsets, random.beta(2, 1, (len(cells), 4))], axis=1).astype(np.float32)
    rows: Rows = []
    for (x, y, stride), row in zip(cells, predictions.tolist(), strict=True):
        box = around((row[0] + x) * stride, (row[1] + y) * stride, math.exp(row[2]) * stride, math.exp(row[3]) * stride)
        rows.append((box, [row[4] * score for score in row[5:]]))
    return {"predictions": predictions}, rows


def rtdetr(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    boxes = random.uniform((0.1, 0.1, 0.05, 0.05), (0.9, 0.9, 0.5, 0.5), (30, 4)).astype(np.float32)
    logits = random.normal(-1, 1.5, (30, 3)).astype(np.float32)
    rows: Rows = [
        (around(x * WIDTH, y * HEIGHT, w * WIDTH, h * HEIGHT), [1 / (1 + math.exp(-value)) for value in values])
        for (x, y, w, h), values in zip(boxes.tolist(), logits.tolist(), strict=True)
    ]
    return {"boxes": boxes, "logits": logits}, rows


def ssd(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    corners = np.sort(random.uniform(0, 1, (30, 2, 2)), axis=1).reshape(30, 4).astype(np.float32)
    scores = random.beta(1, 1, 30).astype(np.float32)
    # 1 is the first label; what is no label of ours must not be told.
    classes = random.integers(0, 6, 30).astype(np.float32)
    rows: Rows = []
    for (top, left, bottom, right), score, number in zip(
        corners.tolist(), scores.tolist(), classes.tolist(), strict=True
    ):
        told = [score if label + 1 == int(number) else 0.0 for label in range(3)]
        rows.append(((left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT), told))
    return {"boxes": corners, "scores": scores, "classes": classes}, rows


def nanodet(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    corners = np.sort(random.uniform(0, (WIDTH, HEIGHT), (30, 2, 2)), axis=1).reshape(30, 4).astype(np.float32)
    scores = random.beta(1, 2, (30, 3)).astype(np.float32)
    rows: Rows = [
        ((left, top, right, bottom), told)
        for (left, top, right, bottom), told in zip(corners.tolist(), scores.tolist(), strict=True)
    ]
    return {"boxes": corners, "scores": scores}, rows


def faceboxes(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    """Of one class, the first label here."""
    corners = np.sort(random.uniform(0, 1, (30, 2, 2)), axis=1).reshape(30, 4).astype(np.float32)
    scores = random.beta(1, 1, 30).astype(np.float32)
    rows: Rows = [
        ((left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT), [score])
        for (top, left, bottom, right), score in zip(corners.tolist(), scores.tolist(), strict=True)
    ]
    return {"boxes": corners, "scores": scores}, rows


def end2end(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    corners = np.sort(random.uniform(0, (WIDTH, HEIGHT), (30, 2, 2)), axis=1).reshape(30, 4)
    return _objects(random, corners, lambda box: (box[0], box[1], box[2], box[3]))


def rtdetr_end2end(random: np.random.Generator) -> tuple[dict[str, Array], Rows]:
    centres = random.uniform((0.1, 0.1, 0.05, 0.05), (0.9, 0.9, 0.5, 0.5), (30, 4))
    return _objects(
        random, centres, lambda box: around(box[0] * WIDTH, box[1] * HEIGHT, box[2] * WIDTH, box[3] * HEIGHT)
    )


def _objects(
    random: np.random.Generator, boxes: Array, corners: Callable[[list[float]], Box]
) -> tuple[dict[str, Array], Rows]:
    """What is no label of ours must not be told."""
    scores, classes = random.beta(1, 1, (30, 1)), random.integers(0, 5, (30, 1))
    predictions = np.concatenate([boxes, scores, classes], axis=1).astype(np.float32)
    rows: Rows = [
        (corners(row[:4]), [row[4] if label == int(row[5]) else 0.0 for label in range(3)])
        for row in predictions.tolist()
    ]
    return {"predictions": predictions}, rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("decoder", "make"),
    [
        (one.__name__.replace("_", "-"), one)
        for one in (nanodet, yolov8, yolox, rtdetr, ssd, faceboxes, end2end, rtdetr_end2end)
    ],
)
def test_the_same_as_a_naive_reading(
    decoder: str, make: Callable[[np.random.Generator], tuple[dict[str, Array], Rows]], seed: int, tmp_path: Path
) -> None:
    answers, rows = make(np.random.default_rng(seed))
    labels = ["face"] if decoder == "faceboxes" else LABELS
    detector = detector_of(tmp_path, decoder, answers, labels=labels)
    images = np.zeros((2, 3, HEIGHT, WIDTH), np.uint8)
    expected = read_naively(rows)
    assert len(expected) >= 3
    for found in map(as_found, detector.answer(images, [QUERY] * 2)):
        assert [row[0] for row in found] == [row[0] for row in expected]
        np.testing.assert_allclose([row[1] for row in found], [row[1] for row in expected], rtol=1e-5)
        np.testing.assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-5)


@pytest.mark.parametrize(
    ("decoder", "answers", "fields", "said"),
    [
        (
            "yolov8",
            {"predictions": np.zeros((6, 40), np.float32)},
            {},
            "outputs.predictions: the ONNX file gives predictions tensor(float) [any, 6, 40], and [any, 7, any] of "
            "tensor(float) is needed (box and labels)",
        ),
        (
            "yolov8",
            {"predictions": np.zeros((40, 7), np.float32)},
            {},
            "outputs.predictions: the ONNX file gives predictions tensor(float) [any, 40, 7], and [any, 7, any]",
        ),
        (
            "yolox",
            {"predictions": np.zeros((63, 7), np.float32)},
            {},
            "and [any, any, 8] of tensor(float) is needed (box, whether an object, labels)",
        ),
        (
            "rtdetr",
            {"boxes": np.zeros((30, 4), np.float32), "logits": np.zeros((30, 2), np.float32)},
            {},
            "outputs.logits: the ONNX file gives logits tensor(float) [any, 30, 2], and [any, any, 3]",
        ),
        (
            "ssd",
            {"boxes": np.zeros((30, 4), np.float32), "scores": np.zeros((30, 3), np.float32)},
            {},
            "outputs: the decoder ssd reads boxes, scores, classes; named are boxes, scores",
        ),
        (
            "embedding",
            {"embedding": np.zeros(8, np.float32)},
            {},
            "decoder: embedding is for the task embedding, not detection",
        ),
        ("yolo", {"predictions": np.zeros((7, 40), np.float32)}, {}, "decoder: 'yolo' is none of nanodet, yolov8, "),
        (
            "yolov8",
            {"predictions": np.zeros((7, 40), np.float32)},
            {"labels": []},
            "labels: give either labels or labels_file",
        ),
        (
            "yolov8",
            {"predictions": np.zeros((7, 40), np.float32)},
            {"labels": [], "labels_file": "names.txt"},
            "labels_file: names.txt cannot be read",
        ),
        (
            "yolov8",
            {"predictions": np.zeros((7, 40), np.float32)},
            {"input": input_of(WIDTH, HEIGHT, type="uint8", mean=[1, 2, 3])},
            "mean and deviation need a type of floats",
        ),
        (
            "yolov8",
            {"predictions": np.zeros((7, 40), np.float32)},
            {"input": input_of(WIDTH, HEIGHT, layout="NHWC")},
            "and model.yaml says [any, 48, 64, 3]",
        ),
        (
            "yolov8",
            {"predictions": np.zeros((7, 40), np.float32)},
            {"input": input_of(WIDTH, HEIGHT, smaller=[[32, 32]])},
            "and model.yaml says [any, 3, 32, 32]",
        ),
    ],
    ids=[
        "fewer scores than labels",
        "rows for columns",
        "no score for an object",
        "logits for two labels",
        "no classes",
        "another task",
        "no such decoder",
        "no labels",
        "no file of labels",
        "normalised bytes",
        "channels elsewhere",
        "a size that it does not take",
    ],
)
def test_a_wrong_folder_is_refused_with_what_is_wrong(
    decoder: str, answers: dict[str, Array], fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="model folder") as refused:
        detector_of(tmp_path, decoder, answers, **fields)
    assert said in str(refused.value)


def test_a_shape_that_only_shows_when_it_runs_is_refused_then(tmp_path: Path) -> None:
    input_, answers = input_of(WIDTH, HEIGHT), {"predictions": np.zeros((9, 40), np.float32)}
    always(tmp_path, answers, silent=True, **input_)
    describe(
        tmp_path,
        "tiny",
        "detection",
        "yolov8",
        {"predictions": "predictions"},
        input=input_,
        labels=LABELS,
        thresholds={"confidence": 0.4},
    )
    model = load_model(tmp_path)
    on_cpu = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
    with pytest.raises(ValueError, match=r"outputs.predictions: the model gave \[1, 9, 40\], and \[any, 7, any\]"):
        open_session(model, on_cpu, SessionLimits(threads=1))


@pytest.mark.parametrize(
    ("of_one", "said"),
    [("reads", "takes any number of images by what it says, and fails on two"), ("answers", "for each of two")],
)
def test_a_file_that_wrongly_says_that_it_takes_several_images(
    of_one: Literal["reads", "answers"], said: str, tmp_path: Path
) -> None:
    input_ = input_of(WIDTH, HEIGHT)
    always(tmp_path, {"embedding": np.ones(8, np.float32)}, of_one=of_one, **input_)
    model = load_model(describe(tmp_path, "tiny", "embedding", "embedding", {"embedding": "embedding"}, input=input_))
    on_cpu = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
    with pytest.raises(ModelFolderError) as refused:
        open_session(model, on_cpu, SessionLimits(threads=1))
    assert said in str(refused.value)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    input_ = input_of(WIDTH, HEIGHT)
    folder = always(tmp_path, {"embedding": np.ones(8, np.float32)}, **input_)
    describe(folder, "tiny", "embedding", "embedding", {"embedding": "embedding"}, input=input_)
    whole = onnx.load(folder / "model.onnx")
    onnx.save(whole, folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    with pytest.raises(ModelFolderError, match=r"model.onnx has its weights in another file: export it as one"):
        load_model(folder)
