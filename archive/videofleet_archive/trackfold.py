"""A track, folded from the targets that show it: for the summary of a run, and for the event that tells its end."""

import base64
import math
import sys
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

TRACK_BEGIN: Final = "track_begin"
TRACK_END: Final = "track_end"
"""Kinds of an `ObjectEvent`."""


@dataclass(slots=True)
class TrackFold:
    """What the targets of one track say in all; `add` them in order."""

    first_frame: int
    last_frame: int = 0
    frames_seen: int = 0
    best_confidence: float = 0.0
    votes: dict[str, float] = field(default_factory=dict)
    readings: dict[str, float] = field(default_factory=dict)
    feature: tuple[float, str] | None = None

    def add(self, frame: int, target: dict[str, Any]) -> None:
        """The `Target` document of the next frame that shows it."""
        confidence = float(target["confidence"])
        self.last_frame = frame
        self.frames_seen += 1
        self.best_confidence = max(self.best_confidence, confidence)
        self.votes[target["class"]] = self.votes.get(target["class"], 0.0) + confidence
        if "text" in target:
            self.readings[target["text"]] = self.readings.get(target["text"], 0.0) + target["text_confidence"]
        if "feature" in target and (self.feature is None or confidence > self.feature[0]):
            self.feature = confidence, target["feature"]

    def document(self, track_id: int) -> dict[str, Any]:
        """A `Track` document, without its shot."""
        known: dict[str, Any] = {
            "track_id": track_id,
            "class": _most(self.votes),
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "frames_seen": self.frames_seen,
            "best_confidence": round(self.best_confidence, 4),
        }
        if self.feature is not None:
            known["feature_digest"] = feature_digest(self.feature[1])
        if self.readings:
            known["text"] = _most(self.readings)
        return known


def _most(votes: dict[str, float]) -> str:
    """What has the most confidence in all; of equals the first by name."""
    return min(votes, key=lambda name: (-votes[name], name))


def feature_digest(written: str) -> str:
    """How the vector of a target (`Target.feature`) is told in few words: its length and its norm."""
    values = array("f", base64.b64decode(written))
    if sys.byteorder == "big":
        values.byteswap()
    return f"dim={len(values)};norm={math.hypot(*values):.4f}"
