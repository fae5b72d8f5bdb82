"""How fast a model runs here."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from videofleet_worker.models.runner import Runner

_RUNS: Final = 3
_BATCH: Final = 8


@dataclass(frozen=True)
class Speed:
    """Seconds for an image: by the clock, and of all processors together."""

    clock: float
    processor: float


def measure(runner: Runner, *, batch: bool) -> Speed:
    """Run a model that nobody else runs now on blank images: one at a time, or in batches, as on a GPU.

    The first run of a shape pays for memory and algorithms, and is not counted.
    """
    images = (runner.largest_batch or _BATCH) if batch else 1
    blank = np.zeros((images, *runner.image_shapes[0]), np.uint8)
    runner.run(blank)
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(_RUNS):
        runner.run(blank)
    count = _RUNS * images
    return Speed((time.perf_counter() - clock) / count, (time.process_time() - processor) / count)
