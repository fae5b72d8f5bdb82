"""What trackers are shown: drawn scenes, and ground truth of people as a detector might have seen it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """Frames of detections, or of ground truth, one row each: frame, x1, y1, x2, y2, and score or identity."""

    rows: FloatArray
    frames: int
    rate: float

    def save(self, path: Path) -> None:
        """For programs of other environments."""
        np.savez(path, rows=self.rows, frames=self.frames, rate=self.rate)


def crowd(count: int, frames: int = 120, seed: int = 1) -> Shown:
    """So many people who walk about in 1920x1080 at 30 frames a second; one in twelve is missed in a frame, one in
    five is seen badly. As detectors tell them: best score first."""
    random = np.random.default_rng(seed)
    place = random.uniform(0, 1, (count, 2)) * (1920, 1080)
    speed = random.normal(0, 1, (count, 2)) * (3, 1.5)
    height = random.uniform(60, 160, (count, 1))
    half = np.concatenate((height * 0.2, height * 0.5), axis=1)
    rows = []
    for frame in range(frames):
        place = (place + speed) % (1920, 1080)
        seen = random.random(count) > 0.08
        centre = place + random.normal(0, 2, place.shape)
        weak = random.random(count) < 0.2
        scores = np.where(weak, random.uniform(0.15, 0.45, count), random.uniform(0.6, 0.95, count))
        rows.append(_frame(frame, (centre - half)[seen], (centre + half)[seen], scores[seen]))
    return Shown(np.concatenate(rows), frames, 30.0)


def ground_truth(path: Path, rate: float) -> Shown:
    """A MOT challenge file: frame, identity, left, top, width, height, ..."""
    table = np.loadtxt(path, delimiter=",", usecols=range(6))
    corner = table[:, 2:4]
    rows = np.column_stack((table[:, 0] - 1, corner, corner + table[:, 4:6], table[:, 1]))
    return Shown(rows, int(table[:, 0].max()), rate)


def degraded(truth: Shown, seed: int) -> Shown:
    """The ground truth as a detector might have seen it; how bad it is, is drawn too.

    Boxes shake by 1 to 6 % of their size; 2 to 15 % are missed one by one, and people vanish for 3 to 15 frames now and
    then, with low scores before and after; there are 0.1 to 1 false ones a frame; scores scatter.
    """
    random = np.random.default_rng(seed)
    shake, missed, false = random.uniform(0.01, 0.06), random.uniform(0.02, 0.15), random.uniform(0.1, 1.0)
    hidden, dim = _hidden(truth, random, random.uniform(0.002, 0.015))
    kept = ~hidden & (random.random(len(truth.rows)) >= missed)
    size = truth.rows[:, 3:5] - truth.rows[:, 1:3]
    corners = truth.rows[:, 1:5] + random.normal(0, shake, (len(truth.rows), 4)) * np.tile(size, 2)
    scores = np.clip(random.normal(0.75, 0.13, len(truth.rows)) - 0.35 * dim, 0.05, 0.99)
    rows = []
    for frame in range(truth.frames):
        here = kept & (truth.rows[:, 0] == frame)
        rows.append(_frame(frame, corners[here, :2], corners[here, 2:], scores[here]))
        count = random.poisson(false)
        low = random.uniform(0, 1, (count, 2)) * truth.rows[:, 3:5].max(axis=0) * 0.9
        size_there = size[random.integers(0, len(size), count)] * random.uniform(0.5, 1.3, (count, 1))
        rows.append(_frame(frame, low, low + size_there, np.clip(random.normal(0.35, 0.15, count), 0.05, 0.99)))
    found = np.concatenate(rows)
    found = found[(found[:, 3] > found[:, 1] + 1) & (found[:, 4] > found[:, 2] + 1)]
    order = np.lexsort((-found[:, 5], found[:, 0]))
    return Shown(found[order], truth.frames, truth.rate)


def _hidden(truth: Shown, random: np.random.Generator, often: float) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Who is hidden when, and how dim somebody is who is about to be or has just been."""
    hidden, dim = np.zeros(len(truth.rows), np.bool_), np.zeros(len(truth.rows))
    for identity in np.unique(truth.rows[:, 5]):
        mine = np.flatnonzero(truth.rows[:, 5] == identity)
        for start in np.flatnonzero(random.random(len(mine)) < often):
            end = start + int(random.integers(3, 16))
            hidden[mine[start:end]] = True
            dim[mine[max(0, start - 3) : end + 3]] = 1
    return hidden, dim


def _frame(frame: int, low: FloatArray, high: FloatArray, scores: FloatArray) -> FloatArray:
    order = np.argsort(-scores, kind="stable")
    return np.column_stack((np.full(len(scores), frame), low, high, scores))[order]
