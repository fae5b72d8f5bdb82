"""HOTA, IDF1 and MOTA by TrackEval, run in its environment.

`python rate.py TRUTH.npz DETECTIONS.npz IDS.npy ...` prints a list of {HOTA, IDF1, MOTA}, one for each pair that
follows the truth, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

import numpy as np
import trackeval

np.float, np.int = float, int  # names that NumPy has dropped and older TrackEval uses


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each with each."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area, other = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second))
    return shared / (area[:, None] + other[None, :] - shared)


def rated(truth: np.ndarray, frames: int, found: np.ndarray, ids: np.ndarray) -> dict[str, float]:
    """The three measures of one clip."""
    found, ids = found[ids > 0], ids[ids > 0]
    _, own = np.unique(truth[:, 5], return_inverse=True)
    _, given = np.unique(ids, return_inverse=True)
    data: dict[str, Any] = {
        "num_timesteps": frames,
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(found),
        "num_gt_ids": int(own.max()) + 1,
        "num_tracker_ids": int(given.max(initial=-1)) + 1,
        "gt_ids": [],
        "tracker_ids": [],
        "similarity_scores": [],
    }
    for frame in range(frames):
        here, there = truth[:, 0] == frame, found[:, 0] == frame
        data["gt_ids"].append(own[here])
        data["tracker_ids"].append(given[there])
        data["similarity_scores"].append(overlaps(truth[here, 1:5], found[there, 1:5]))
    with contextlib.redirect_stdout(io.StringIO()):
        hota = trackeval.metrics.HOTA().eval_sequence(data)
        clear = trackeval.metrics.CLEAR().eval_sequence(data)
        identity = trackeval.metrics.Identity().eval_sequence(data)
    return {"HOTA": float(np.mean(hota["HOTA"])), "IDF1": float(identity["IDF1"]), "MOTA": float(clear["MOTA"])}


def main(truth_file: str, *pairs: str) -> None:
    """Rate and print."""
    with np.load(truth_file) as saved:
        truth, frames = saved["rows"], int(saved["frames"])
    found = [np.load(path)["rows"] for path in pairs[::2]]
    ids = [np.load(path) for path in pairs[1::2]]
    print(json.dumps([rated(truth, frames, rows, own) for rows, own in zip(found, ids, strict=True)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
