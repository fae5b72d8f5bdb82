"""The tracks of one stream, as columns of a table."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from videofleet_worker.tracking import kalman
from videofleet_worker.tracking.kalman import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NOT_TRACKED: Final = 0


# What a track is: NEW was seen once and has no id yet, SEEN was found in the last frame, LOST was not.
# Plain numbers, since they are compared with whole columns many times a frame.
NEW: Final = 0
SEEN: Final = 1
LOST: Final = 2


@dataclass(eq=False)
class Tracks:
    """One row a track, oldest first. `unseen` and `age` are seconds since the last and the first match."""

    filters: FloatArray
    ids: IntArray
    classes: IntArray
    states: IntArray
    unseen: FloatArray
    age: FloatArray

    @classmethod
    def none(cls) -> Self:
        """No tracks."""
        return cls.new(np.zeros((0, 4)), np.zeros(0, np.int64))

    @classmethod
    def new(cls, measured: FloatArray, classes: IntArray) -> Self:
        """Tracks of objects seen for the first time; `measured` [n, 4] are rows x, y, a, h."""
        count = len(measured)
        return cls(
            filters=kalman.initiate(measured),
            ids=np.full(count, NOT_TRACKED, np.int64),
            classes=classes,
            states=np.full(count, NEW, np.int64),
            unseen=np.zeros(count),
            age=np.zeros(count),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, mask: BoolArray) -> "Tracks":
        """Only the rows that the mask picks."""
        return Tracks(
            self.filters[:, mask],
            self.ids[mask],
            self.classes[mask],
            self.states[mask],
            self.unseen[mask],
            self.age[mask],
        )

    def followed_by(self, other: "Tracks") -> "Tracks":
        """These rows, then the other's."""
        return Tracks(
            np.concatenate((self.filters, other.filters), axis=1),
            np.concatenate((self.ids, other.ids)),
            np.concatenate((self.classes, other.classes)),
            np.concatenate((self.states, other.states)),
            np.concatenate((self.unseen, other.unseen)),
            np.concatenate((self.age, other.age)),
        )

    def move_on(self, seconds: float) -> None:
        """Let time pass: every track goes on as it moved, and its times grow."""
        self.unseen += seconds
        self.age += seconds
        if len(self) and seconds > 0:
            # The height of something out of sight is not believed to go on changing; the paper's code does the same.
            self.filters[kalman.SPEED, self.states != SEEN, 3] = 0
            self.filters = kalman.predict(self.filters, seconds * kalman.STEPS_A_SECOND)

    def match(self, rows: IntArray, measured: FloatArray) -> None:
        """Correct the rows by what was measured of each, and set them as seen now."""
        self.filters[:, rows] = kalman.correct(self.filters[:, rows], measured)
        self.states[rows] = SEEN
        self.unseen[rows] = 0
