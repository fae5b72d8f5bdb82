"""What objects look like, as the trackers use it: vectors of length 1, whose cosine says how much two are alike.

As in "BoT-SORT: Robust Associations Multi-Pedestrian Tracking", Aharon et al. 2022: a track's vector is an exponential
moving average of those of its detections, and the distance of a track and a detection is the smaller one of their
places (1 - IoU) and their looks (1 - cosine), the second only where the places are not too far apart and the looks
near enough. As similarities: the greater one of IoU and cosine.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from videofleet_worker.tracking.assignment import Pair
from videofleet_worker.tracking.settings import LookSettings

Look = npt.NDArray[np.float64]


def look_of(vector: npt.ArrayLike | None) -> Look | None:
    """The direction of a model's vector [d]; None where it has none."""
    if vector is None:
        return None
    look = np.asarray(vector, np.float64)
    length = math.sqrt(float(look @ look))
    return look / length if 0 < length < math.inf else None


def blended(known: Look | None, seen: Look, memory: float) -> Look:
    """A track's look after it was seen once more."""
    if known is None:
        return seen
    mixed = look_of(memory * known + (1 - memory) * seen)
    # Of two that point away from each other nothing is left.
    return seen if mixed is None else mixed


def with_looks(
    pairs: Sequence[Pair], tracks: Sequence[Look | None], shown: Sequence[Look | None], settings: LookSettings
) -> list[Pair]:
    """The pairs, those more similar that look alike."""
    return [(row, column, _similarity(overlap, tracks[row], shown[column], settings)) for row, column, overlap in pairs]


def _similarity(overlap: float, known: Look | None, seen: Look | None, settings: LookSettings) -> float:
    if known is None or seen is None or overlap < settings.overlap:
        return overlap
    cosine = float(known @ seen)
    return max(overlap, cosine) if cosine >= settings.similarity else overlap
