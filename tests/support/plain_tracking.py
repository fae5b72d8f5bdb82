"""ByteTrack, as its paper tells it: one track, one detection, one number after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.settings import TrackerSettings

Box = tuple[float, float, float, float]


class EightStates:
    """One track's filter as the papers write it: a mean of 8 and a covariance of 8x8, time in frames."""

    def __init__(self, measured: FloatArray) -> None:
        height = measured[3]
        self.mean = np.concatenate((measured, np.zeros(4)))
        deviations = [height / 10, height / 10, 1e-2, height / 10, height / 16, height / 16, 1e-5, height / 16]
        self.covariance = np.diag(np.square(deviations))

    def predict(self, steps: float) -> None:
        height = self.mean[3]
        position = np.square([height / 20, height / 20, 1e-2, height / 20])
        speed = np.square([height / 160, height / 160, 1e-5, height / 160])
        motion = np.eye(8)
        motion[:4, 4:] = steps * np.eye(4)
        noise = np.zeros((8, 8))
        noise[:4, :4] = np.diag(steps * position + steps**3 / 3 * speed)
        noise[:4, 4:] = noise[4:, :4] = np.diag(steps**2 / 2 * speed)
        noise[4:, 4:] = np.diag(steps * speed)
        self.mean = motion @ self.mean
        self.covariance = motion @ self.covariance @ motion.T + noise

    def correct(self, measured: FloatArray) -> None:
        height = self.mean[3]
        measurement_noise = np.diag(np.square([height / 20, height / 20, 1e-1, height / 20]))
        projection = np.eye(4, 8)
        total = projection @ self.covariance @ projection.T + measurement_noise
        gain = self.covariance @ projection.T @ np.linalg.inv(total)
        self.mean = self.mean + gain @ (measured - projection @ self.mean)
        self.covariance = self.covariance - gain @ total @ gain.T

    def box(self) -> Box:
        """Where the object is believed to be: x1, y1, x2, y2."""
        x, y, aspect, height = (float(value) for value in self.mean[:4])
        return x - aspect * height / 2, y - height / 2, x + aspect * height / 2, y + height / 2


@dataclass
class Seen:
    """One detection."""

    box: Box
    score: float
    kind: int

    def measured(self) -> FloatArray:
        """x, y, width over height, height."""
        left, top, right, bottom = self.box
        return np.array([(left + right) / 2, (top + bottom) / 2, (right - left) / (bottom - top), bottom - top])


@dataclass
class Followed:
    """One track."""

    filter: EightStates
    kind: int
    begun_at: float
    seen_at: float
    state: str = "new"
    number: int = 0


@dataclass
class PlainByteTrack:
    """The tracker without any shortcut; for detections without ties, at any rate above 7 frames a second."""

    settings: TrackerSettings
    tracks: list[Followed] = field(default_factory=list)
    highest: int = 0
    last: float | None = None

    def update(self, detections: list[Seen], pts: float) -> list[int]:
        """The number of each detection, 0 for none."""
        first, passed = self.last is None, 0.0 if self.last is None else pts - self.last
        self.last = pts
        self.tracks = [track for track in self.tracks if pts - track.seen_at <= self.settings.lost_seconds + 1e-6]
        for track in self.tracks:
            if track.state != "seen":
                track.filter.mean[7] = 0
            if passed > 0:
                track.filter.predict(passed * 30)
        expected = [track.filter.box() for track in self.tracks]
        found = self._associate(detections, expected)
        numbers = self._settle(detections, expected, found)
        taken = set(found.values())
        order = sorted(range(len(detections)), key=lambda place: -detections[place].score)
        for place in order:
            if place not in taken and detections[place].score >= self.settings.new_track_score:
                self.tracks.append(self._begun(detections[place], pts))
                if first:
                    self.highest += 1
                    self.tracks[-1].state, self.tracks[-1].number = "seen", self.highest
                    numbers[place] = self.highest
        return numbers

    def _begun(self, seen: Seen, pts: float) -> Followed:
        return Followed(EightStates(seen.measured()), seen.kind, pts, pts)

    def _learn(self, track: Followed, seen: Seen) -> None:
        track.filter.correct(seen.measured())

    def _associate(self, detections: list[Seen], expected: list[Box]) -> dict[int, int]:
        settings, found = self.settings, dict[int, int]()
        high = [place for place, one in enumerate(detections) if one.score >= settings.high_score]
        low = [place for place, one in enumerate(detections) if settings.low_score <= one.score < settings.high_score]
        rounds = (
            (("seen", "lost"), high, settings.high_overlap),
            (("seen",), low, settings.low_overlap),
            (("new",), high, settings.second_overlap),
        )
        for states, places, least in rounds:
            rows = [row for row, track in enumerate(self.tracks) if track.state in states and row not in found]
            columns = [place for place in places if place not in found.values()]
            gains = {
                (row, column): overlap(expected[row], detections[column].box) - least
                for row in rows
                for column in columns
                if self.tracks[row].kind == detections[column].kind
            }
            found |= best_choice(rows, {pair: gain for pair, gain in gains.items() if gain >= 0})[1]
        return found

    def _settle(self, detections: list[Seen], expected: list[Box], found: dict[int, int]) -> list[int]:
        numbers = [0] * len(detections)
        for row, column in sorted(found.items()):
            track = self.tracks[row]
            self._learn(track, detections[column])
            track.state, track.seen_at = "seen", self.last or 0.0
            if track.number == 0:
                self.highest += 1
                track.number = self.highest
            numbers[column] = track.number
        gone = {row for row, track in enumerate(self.tracks) if track.state == "new" and row not in found}
        lost = [row for row in range(len(self.tracks)) if row not in found and row not in gone]
        for row in lost:
            self.tracks[row].state = "lost"
            for owner, column in found.items():
                same = self.tracks[row].kind == self.tracks[owner].kind
                if same and overlap(expected[row], detections[column].box) > self.settings.duplicate_overlap:
                    gone.add(row if self._followed(owner) >= self._followed(row) else owner)
        self.tracks = [track for row, track in enumerate(self.tracks) if row not in gone]
        return numbers

    def _followed(self, row: int) -> float:
        return self.tracks[row].seen_at - self.tracks[row].begun_at


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height) if width * height else 0.0


def best_choice(rows: list[int], gains: dict[tuple[int, int], float]) -> tuple[float, dict[int, int]]:
    """The pairs that together gain most: row by row, the best way to have used each set of columns."""
    best: dict[frozenset[int], tuple[float, dict[int, int]]] = {frozenset(): (0.0, {})}
    for row in rows:
        for used, (total, choice) in list(best.items()):
            for (of_row, column), gain in gains.items():
                if of_row == row and column not in used:
                    more = used | {column}
                    if more not in best or total + gain > best[more][0]:
                        best[more] = total + gain, {**choice, row: column}
    return max(best.values(), key=lambda one: one[0])
