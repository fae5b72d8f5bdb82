"""One tracker over saved detections, in the environment that it is installed in.

`python follow.py WHO DETECTIONS.npz IDS.npy ...`: for each pair writes the id of each row, 0 for none; prints a list of
the processor seconds of one update (of the second pass over a clip; the first warms up). WHO is bytetrack or ocsort
(ours), trackers, trackers-defaults or norfair.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

HIGH, BEGIN, LOST_SECONDS = 0.4, 0.45, 2.0

# Given boxes [n, 4], scores and the time; ids of them, 0 for none. What is made before is not timed.
Update = Callable[[Any], Any]
Prepare = Callable[[np.ndarray, np.ndarray, float], Any]


def ours(who: str) -> tuple[Prepare, Update]:
    """Our tracker, as a track step makes it."""
    from videofleet_worker.tracking.choice import tracker_of
    from videofleet_worker.tracking.settings import TrackerSettings

    tracker = tracker_of(who, TrackerSettings(HIGH, 0.2, BEGIN, LOST_SECONDS))
    return (
        lambda boxes, scores, pts: (boxes, scores, np.zeros(len(boxes), np.int64), pts),
        lambda frame: tracker.update(*frame),
    )


def trackers(rate: float, **settings: float) -> tuple[Prepare, Update]:
    """ByteTrack of `trackers`."""
    import supervision
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(lost_track_buffer=round(LOST_SECONDS * 30), frame_rate=rate, **settings)

    def prepare(boxes: np.ndarray, scores: np.ndarray, pts: float) -> Any:
        return supervision.Detections(
            xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int), data={"row": np.arange(len(boxes))}
        )

    def update(detections: Any) -> np.ndarray:
        found = tracker.update(detections)
        ids = np.zeros(len(detections), np.int64)
        ids[found.data.get("row", [])] = found.tracker_id + 1
        return ids

    return prepare, update


def norfair(rate: float) -> tuple[Prepare, Update]:
    """norfair with its own overlap of boxes, all detections that could begin a track."""
    from norfair import Detection, Tracker

    tracker = Tracker("iou", distance_threshold=0.8, hit_counter_max=round(LOST_SECONDS * rate), initialization_delay=1)

    def prepare(boxes: np.ndarray, scores: np.ndarray, pts: float) -> Any:
        good = np.flatnonzero(scores >= HIGH)
        return len(boxes), [Detection(boxes[row].reshape(2, 2), scores[[row, row]], data=row) for row in good]

    def update(frame: Any) -> np.ndarray:
        count, detections = frame
        ids = np.zeros(count, np.int64)
        for one in tracker.update(detections):
            if any(one.last_detection is mine for mine in detections):
                ids[one.last_detection.data] = one.id
        return ids

    return prepare, update


def made(who: str, rate: float) -> tuple[Prepare, Update]:
    """The tracker of this name, new."""
    if who == "norfair":
        return norfair(rate)
    if who == "trackers":
        return trackers(rate, high_conf_det_threshold=HIGH, track_activation_threshold=BEGIN)
    if who == "trackers-defaults":
        return trackers(rate)
    return ours(who)


def followed(who: str, rows: np.ndarray, frames: int, rate: float) -> tuple[np.ndarray, float]:
    """The ids of all rows, and the processor seconds of an update."""
    prepare, update = made(who, rate)
    starts = np.searchsorted(rows[:, 0], np.arange(frames + 1))
    shown = [
        prepare(rows[first:last, 1:5].copy(), rows[first:last, 5].copy(), frame / rate)
        for frame, (first, last) in enumerate(itertools.pairwise(starts))
    ]
    begun = time.process_time()
    ids = [update(frame) for frame in shown]
    spent = time.process_time() - begun
    return np.concatenate(ids), spent / frames


def main(who: str, *pairs: str) -> None:
    """Follow, write, print."""
    spent = []
    for source, target in zip(pairs[::2], pairs[1::2], strict=True):
        with np.load(source) as saved:
            clip = saved["rows"], int(saved["frames"]), float(saved["rate"])
        followed(who, *clip)
        ids, seconds = followed(who, *clip)
        np.save(target, ids)
        spent.append(seconds)
    print(json.dumps(spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
