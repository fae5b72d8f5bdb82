"""The loop that people write themselves: cv2 reads, ONNX Runtime finds people, `trackers` follows them.

`python loop.py HOW MODEL SOURCE FRAMES RESULTS [THREADS]`: a line of JSON a frame goes to RESULTS; printed are the
frames, the seconds, the processor seconds, and those of them inside the session, from the open source to the last one.
HOW is serial, threaded (a thread reads and scales, four frames ahead), raw (the session alone, on tensors that are
there before) or watch (a live source until it is killed; FRAMES is then of how many one is looked at). Thresholds and
suppression are those of a usual job; so are the session's threads.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import metering
import numpy as np
import supervision
from trackers import ByteTrackTracker

SIDE, PERSON = 416, 0
FOUND, HIGH, LOW, BEGIN, OVERLAP, LOST_SECONDS = 0.35, 0.4, 0.2, 0.45, 0.5, 2.0


def session_of(model: str, threads: int) -> Any:
    """A session set as the worker's."""
    options = metering.ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return metering.ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def pictures(capture: cv2.VideoCapture, frames: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Width, height and what the model takes, frame by frame."""
    for _ in range(frames):
        there, picture = capture.read()
        if not there:
            return
        blue, green, red = cv2.split(cv2.resize(picture, (SIDE, SIDE)))
        yield picture.shape[1], picture.shape[0], np.stack((red, green, blue))[None]


def watched(capture: cv2.VideoCapture, every: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Of every so many frames one, of a camera that does not end."""
    while all(capture.grab() for _ in range(every)):
        blue, green, red = cv2.split(cv2.resize(picture := capture.retrieve()[1], (SIDE, SIDE)))
        yield picture.shape[1], picture.shape[0], np.stack((red, green, blue))[None]


def ahead(found: Iterator[Any]) -> Iterator[Any]:
    """The same, made by a thread, at most four ahead."""
    ready: queue.Queue[Any] = queue.Queue(4)

    def fill() -> None:
        for one in found:
            ready.put(one)
        ready.put(None)

    threading.Thread(target=fill, daemon=True).start()
    return iter(ready.get, None)


def detect(session: Any, tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of the model and scores of the people."""
    boxes, scores = session.run(["boxes", "scores"], {"images": tensor})
    likely = np.flatnonzero(scores[0, :, PERSON] >= LOW)
    boxes, scores = boxes[0, likely], scores[0, likely, PERSON]
    sized = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
    kept = np.array(cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), LOW, OVERLAP), int)
    return boxes[kept], scores[kept]


def follow(session: Any, shown: Iterator[tuple[int, int, np.ndarray]], rate: float, results: Any) -> int:
    """Find, follow, write; how many frames there were."""
    tracker = ByteTrackTracker(
        lost_track_buffer=round(LOST_SECONDS * 30),
        frame_rate=rate,
        high_conf_det_threshold=HIGH,
        track_activation_threshold=BEGIN,
    )
    number = -1
    for number, (width, height, tensor) in enumerate(shown):
        boxes, scores = detect(session, tensor)
        boxes = np.clip(boxes, 0, SIDE) * np.array([width, height, width, height]) / SIDE
        people = supervision.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int))
        people = tracker.update(people) if len(boxes) else people
        rows = zip(people.xyxy.tolist(), people.confidence.tolist(), ids_of(people), strict=True)
        told = [{"box": box, "score": score, "id": one} for box, score, one in rows if score >= FOUND]
        results.write(json.dumps({"frame": number, "time": time.time(), "people": told}) + "\n")
        results.flush()
    return number + 1


def ids_of(people: supervision.Detections) -> list[int]:
    """The ids as far as there are any."""
    return [] if people.tracker_id is None else [int(one) for one in people.tracker_id]


def raw(session: Any, source: str, frames: int) -> float:
    """The session alone; when it began."""
    tensors = [tensor for _, _, tensor in pictures(cv2.VideoCapture(source), 25)]
    begun = time.monotonic(), time.process_time()
    for tensor in itertools.islice(itertools.cycle(tensors), frames):
        session.run(["boxes", "scores"], {"images": tensor})
    return report(frames, *begun)


def report(frames: int, began: float, spent: float) -> Any:
    """What is printed."""
    return {"frames": frames, "seconds": time.monotonic() - began, "cpu": time.process_time() - spent}


def main(how: str, model: str, source: str, frames: str, results: str, threads: str = "0") -> None:
    """Measure, print."""
    meter = Path(tempfile.mkstemp()[1])
    metering.install(meter)
    cv2.setNumThreads(1)
    session = session_of(model, int(threads) or len(os.sched_getaffinity(0)))
    session.run(["boxes", "scores"], {"images": np.zeros((1, 3, SIDE, SIDE), np.uint8)})
    before, _ = metering.read(meter)
    if how == "raw":
        found = raw(session, source, int(frames))
    else:
        began, spent = time.monotonic(), time.process_time()
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        rate = capture.get(cv2.CAP_PROP_FPS) or 25
        if how == "watch":
            shown, rate = watched(capture, int(frames)), rate / int(frames)
        else:
            shown = pictures(capture, int(frames))
        with Path(results).open("w", encoding="utf-8") as file:
            count = follow(session, ahead(shown) if how == "threaded" else shown, rate, file)
        found = report(count, began, spent)
    found["inference"] = metering.read(meter)[0] - before
    meter.unlink()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
