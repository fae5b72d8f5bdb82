"""The tracks of one stream, as columns of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.frame import Frame
from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.looks import Look, blended

NOT_TRACKED: Final = 0

# What a track is: NEW was seen once and has no id yet, SEEN was found in the last frame, LOST was not.
# Plain numbers in plain lists: they are looked at one by one, where arrays cost more than they save.
NEW: Final = 0
SEEN: Final = 1
LOST: Final = 2


@dataclass(eq=False)
class Tracks:
    """One row a track, oldest first. `seen_at` and `begun_at` are the tracker's times of the last and first match.

    `looks` are None where nothing is known of them.
    """

    filters: FloatArray = field(default_factory=lambda: kalman.initiate(np.zeros((0, 4))))
    ids: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    seen_at: list[float] = field(default_factory=list)
    begun_at: list[float] = field(default_factory=list)
    looks: list[Look | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def followed(self, row: int) -> float:
        """Seconds from the first to the last match."""
        return self.seen_at[row] - self.begun_at[row]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all but these rows."""
        self.filters = self.filters.T.take(rows, axis=1).T
        self.ids = [self.ids[row] for row in rows]
        self.classes = [self.classes[row] for row in rows]
        self.states = [self.states[row] for row in rows]
        self.seen_at = [self.seen_at[row] for row in rows]
        self.begun_at = [self.begun_at[row] for row in rows]
        self.looks = [self.looks[row] for row in rows]

    def begin(self, frame: Frame, columns: Sequence[int], now: float) -> None:
        """New rows for these detections, seen once."""
        count = len(columns)
        begun = kalman.initiate(frame.measured[list(columns)])
        self.filters = np.concatenate((self.filters.T, begun.T), axis=1).T
        self.ids += [NOT_TRACKED] * count
        self.classes += [frame.classes[column] for column in columns]
        self.states += [NEW] * count
        self.seen_at += [now] * count
        self.begun_at += [now] * count
        self.looks += [frame.looks[column] for column in columns] if frame.looks else [None] * count

    def match(self, frame: Frame, found: Mapping[int, int], missed: Sequence[int], now: float) -> None:
        """These rows, each found as a detection of the frame, learn from it; `missed` are all others."""
        # Those that were not found are shown the first detection, and learn nothing from it.
        columns = [found.get(row, 0) for row in range(len(self))]
        self.filters = kalman.correct(self.filters, frame.measured.T.take(columns, axis=1).T, missed)
        states, seen_at = self.states, self.seen_at
        for row in found:
            states[row] = SEEN
            seen_at[row] = now

    def remember(self, frame: Frame, found: Mapping[int, int], memory: float) -> None:
        """Learn what these rows, each found as a detection of the frame, look like."""
        for row, column in found.items():
            look = frame.looks[column]
            if look is not None:
                self.looks[row] = blended(self.looks[row], look, memory)

    def lose(self, rows: Sequence[int]) -> None:
        """These were not found in this frame."""
        for row in rows:
            self.states[row] = LOST
        # The height of something out of sight is not believed to go on changing; the paper's code does the same.
        self.filters[list(rows), kalman.SPEED_OF_HEIGHT] = 0
