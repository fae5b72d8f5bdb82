"""Models that are brought to a worker, beside its own: taken with their names, or refused with what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageDraw

from tests.support.graphs import always, channel_means, describe, input_of
from tests.support.scenes import canvas, clip, write
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.decode.webserver import Page, serving
from tests.unit.worker.server.conftest import Keys, StartWorker, chunks_of
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_api.results import Chunk, RunResult
from videofleet_worker.models.registry import load_model

WIDTH, HEIGHT = 1280, 720
PLATE, DOOR = (200, 300, 640, 400), (800, 100, 1000, 500)
LABELS = ["plate", "door"]


def signs(folder: Path) -> Path:
    """A YOLOv8 of 320x320, letterboxed, that sees a plate and a door wherever one looks."""
    input_ = input_of(320, 320, fit="letterbox")
    scale, top = 320 / WIDTH, (320 - HEIGHT * 320 / WIDTH) / 2
    predictions = np.zeros((4 + len(LABELS), 30), np.float32)
    for number, (left, upper, right, lower) in enumerate((PLATE, DOOR)):
        centre = (left + right) / 2 * scale, (upper + lower) / 2 * scale + top
        predictions[:4, number] = [*centre, (right - left) * scale, (lower - upper) * scale]
        predictions[4 + number, number] = 0.9 - number / 10
    always(folder, {"predictions": predictions}, **input_)
    thresholds = {"confidence": 0.5, "iou": 0.5}
    outputs = {"predictions": "predictions"}
    return describe(folder, "signs", "detection", "yolov8", outputs, input=input_, labels=LABELS, thresholds=thresholds)


def colour(folder: Path) -> Path:
    """Which of three colours a picture has most of."""
    input_ = input_of(16, 16, layout="NHWC", colour="BGR", mean=[127.5] * 3, deviation=[127.5] * 3)
    # The channels come as blue, green, red.
    channel_means(folder, "logits", 9 * np.eye(3, dtype=np.float32)[::-1].copy(), **input_)
    labels = ["red", "green", "blue"]
    outputs = {"scores": "logits"}
    return describe(folder, "colour", "classification", "classification-logits", outputs, input=input_, labels=labels)


async def test_brought_models_find_classify_and_have_their_text_read(
    start_worker: StartWorker, keys: Keys, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    signs(models / "signs")
    colour(models / "colour")
    picture = canvas(WIDTH, HEIGHT)
    draw = ImageDraw.Draw(picture)
    draw.rectangle(DOOR, fill=(190, 20, 30))
    draw.rectangle(PLATE, fill="white")
    write(picture, "KLM1234", PLATE[0] + 40, PLATE[1] + 20, 64)
    steps = [
        {"model": "signs"},
        {"model": "classify", "when": {"classIs": ["door"]}},
        {"model": "ocr", "when": {"classIs": ["plate"]}},
        {"model": "track"},
    ]
    worker = start_worker(models=str(models))
    with serving() as web:
        web.pages["/signs.mp4"] = Page(clip(*[picture] * 4))
        async with WorkerClient(worker, keys.operator) as client:
            info = (await client.get("/v1/info")).body
            assert {"signs", "colour", "classify"} <= set(info["steps"])
            analytics = [{"name": "main", "steps": steps}]
            await client.assign(file_job(web.url("/signs.mp4"), "job", analytics=analytics))
            last = (await client.until("job", TERMINAL))[-1]
            assert last.state is JobState.ENDED, last.message
            chunks = [Chunk.model_validate(one) for one in chunks_of(await client.log("job"))][:-1]
            result = RunResult.model_validate((await client.get("/v1/jobs/job/results")).body)
    assert len(chunks) == 4
    for chunk in chunks:
        plate, door = chunk.delta.results[0].targets
        assert (plate.class_, plate.text, plate.attributes) == ("plate", "KLM1234", None)
        assert door.text is None
        assert door.attributes is not None
        assert door.attributes["colour"].label == "red"
        assert door.attributes["colour"].confidence > 0.9
        for target, box in ((plate, PLATE), (door, DOOR)):
            roi = target.roi
            found = roi.left, roi.top, roi.left + roi.width, roi.top + roi.height
            assert max(abs(one - other) for one, other in zip(found, box, strict=True)) <= 2
    assert [(track.class_, track.text) for track in result.tracks] == [("plate", "KLM1234"), ("door", None)]


def test_a_model_of_another_digest_than_the_one_wanted_is_refused(start_worker: StartWorker, tmp_path: Path) -> None:
    folder = signs(tmp_path / "models")
    right = load_model(folder).digest
    assert start_worker(models=str(folder), model_digests=f"{folder}={right}").process.poll() is None
    wrong = f"sha256:{64 * '0'}"
    with pytest.raises(AssertionError, match="the worker ended") as ended:
        start_worker(models=str(folder), model_digests=f"{folder}={wrong}")
    assert f"one model of the digest {wrong} is wanted here, and there is signs of {right}" in str(ended.value)


def test_a_worker_with_a_wrong_model_says_what_is_wrong_and_does_not_start(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = signs(tmp_path / "models")
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(text.replace("- door", "- door\n- window"))
    with pytest.raises(AssertionError, match="the worker ended") as ended:
        start_worker(models=str(folder))
    assert "outputs.predictions: the ONNX file gives" in str(ended.value)
    assert "[any, 7, any] of tensor(float) is needed (box and labels)" in str(ended.value)
