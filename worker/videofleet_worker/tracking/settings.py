"""How a tracker is set."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LookSettings:
    """How objects are known by what they look like: by the vectors of `model`.

    Two look alike whose vectors have at least this cosine (`similarity`), and that counts where they overlap at least
    so much (`overlap`). A track's vector keeps the share `memory` of itself when a new one is seen.
    """

    model: str
    similarity: float = 0.5
    overlap: float = 0.2
    memory: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.similarity <= 1:
            raise ValueError(f"similarity is {self.similarity}, and must be from 0 to 1")
        if not 0 < self.overlap <= 1:
            raise ValueError(f"overlap is {self.overlap}, and must be above 0 and at most 1")
        if not 0 <= self.memory < 1:
            raise ValueError(f"memory is {self.memory}, and must be at least 0 and below 1")


@dataclass(frozen=True)
class TrackerSettings:
    """How tracks begin, go on and end. Scores and overlaps (IoU) are 0..1.

    A detection of at least `high_score` is a confident one, one of at least `low_score` can keep a track alive, and
    one of at least `new_track_score` can begin one. A track that is not seen for more than `lost_seconds` ends; where
    frames are sampled further apart than that, let it be a few sampling periods. The overlaps are those a detection
    must have with where its track is expected: for confident detections, for low ones, and for a track's second.
    Without `looks` only places count.
    """

    high_score: float = 0.4
    low_score: float = 0.2
    new_track_score: float = 0.45
    lost_seconds: float = 2.0
    high_overlap: float = 0.2
    low_overlap: float = 0.5
    second_overlap: float = 0.3
    duplicate_overlap: float = 0.85
    looks: LookSettings | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("lost_seconds", "looks") and not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, and must be from 0 to 1")
        if not (self.lost_seconds >= 0 and math.isfinite(self.lost_seconds)):
            raise ValueError(f"lost_seconds is {self.lost_seconds}, and must be 0 or more")
        if not self.low_score <= self.high_score <= self.new_track_score:
            raise ValueError(
                f"low_score {self.low_score}, high_score {self.high_score} and new_track_score {self.new_track_score} "
                "must not fall"
            )

    @property
    def least_overlap(self) -> float:
        """What a pair of a track and a detection must have to be looked at at all."""
        least = min(self.high_overlap, self.low_overlap, self.second_overlap, self.duplicate_overlap)
        return least if self.looks is None else min(least, self.looks.overlap)
