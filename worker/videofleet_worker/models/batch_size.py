"""How many images a batch may have, from what batches have taken so far.

On a CPU a batch of 4 takes four times as long as one image and only delays its frames; on a GPU it takes hardly longer.
So the rule climbs a ladder of sizes: where enough streams wait, it tries the next larger size for a few batches, keeps
it if that serves clearly more images a second, and otherwise goes back and waits longer before it tries again. Now and
then it looks one step down the same way, so that a size that no longer pays is left.

Only sizes of the ladder are run: every new shape costs a GPU a search for algorithms or even a new engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median

LADDER = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class BatchLimits:
    """Limits of the rule. Times are in seconds, pauses in batches."""

    largest: int = 32
    slowest_batch: float = 0.25
    """No batch should take longer, however many images a second it would serve."""
    gain_to_grow: float = 1.10
    """A larger size must serve so many times the images a second of the smaller to be taken up."""
    gain_to_stay: float = 1.05
    """It must go on to serve so many times as many to be kept; less than the gain to grow, so as not to flutter."""
    samples: int = 5
    first_pause: int = 50
    longest_pause: int = 6400


@dataclass(frozen=True)
class BatchSizes:
    """What the rule knows: the size settled on, the size on trial, and the last times of a batch of each size."""

    settled: int = 1
    trial: int | None = None
    until_trial: int = 5
    pause: int = 50
    look_up: bool = True
    warm: frozenset[int] = frozenset()
    samples: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def target(self) -> int:
        """The most images that the next batch may have."""
        return self.trial or self.settled


def start(limits: BatchLimits) -> BatchSizes:
    """Nothing known: one image a batch, and a first trial soon."""
    return BatchSizes(until_trial=limits.samples, pause=limits.first_pause)


def allowed(sizes: BatchSizes, waiting: int) -> int:
    """The images to take now that `waiting` may share a batch: the largest size of the ladder that can be filled.

    It never waits for more to come: while the session is busy frames gather by themselves.
    """
    return max((size for size in LADDER if size <= min(waiting, sizes.target)), default=0)


def observe(sizes: BatchSizes, limits: BatchLimits, size: int, seconds: float, waiting: int) -> BatchSizes:
    """Learn that a batch of `size` images took `seconds`, and that `waiting` could have shared one."""
    if size not in sizes.warm:
        # The first batch of a size pays for memory and algorithms; its time says nothing.
        return replace(sizes, warm=sizes.warm | {size})
    sizes = _with_sample(sizes, limits, size, seconds)
    if sizes.trial is not None:
        return _judge_trial(sizes, limits, sizes.trial)
    if _too_slow(sizes, limits, sizes.settled) and sizes.settled > 1:
        return _go_back(replace(sizes, settled=_below(sizes.settled)), limits)
    return _start_trial(replace(sizes, until_trial=sizes.until_trial - 1), limits, waiting)


def _with_sample(sizes: BatchSizes, limits: BatchLimits, size: int, seconds: float) -> BatchSizes:
    latest = (*sizes.samples.get(size, ()), seconds)[-limits.samples :]
    return replace(sizes, samples={**sizes.samples, size: latest})


def _start_trial(sizes: BatchSizes, limits: BatchLimits, waiting: int) -> BatchSizes:
    """Put the next size on trial if the pause is over and enough streams wait to fill it."""
    if sizes.until_trial > 0 or not _measured(sizes, limits, sizes.settled):
        return sizes
    up = sizes.look_up or sizes.settled == 1
    size = _above(sizes.settled) if up else _below(sizes.settled)
    if waiting < max(size, sizes.settled):
        return sizes
    if size > limits.largest:
        return replace(sizes, look_up=False)
    return replace(sizes, trial=size, samples={**sizes.samples, size: ()})


def _judge_trial(sizes: BatchSizes, limits: BatchLimits, trial: int) -> BatchSizes:
    """Once the trial has run often enough, take its size up or go back."""
    if not (_measured(sizes, limits, trial) and _measured(sizes, limits, sizes.settled)):
        return sizes
    growing = trial > sizes.settled
    gain = _per_image(sizes, min(trial, sizes.settled)) / _per_image(sizes, max(trial, sizes.settled))
    if growing:
        taken = gain >= limits.gain_to_grow and not _too_slow(sizes, limits, trial)
    else:
        taken = gain < limits.gain_to_stay
    if not taken:
        return _go_back(sizes, limits)
    return replace(sizes, settled=trial, trial=None, until_trial=limits.samples, pause=limits.first_pause)


def _go_back(sizes: BatchSizes, limits: BatchLimits) -> BatchSizes:
    """Stay with the settled size, look the other way next time, and wait twice as long before the time after."""
    pause = min(2 * sizes.pause, limits.longest_pause)
    return replace(sizes, trial=None, until_trial=sizes.pause, pause=pause, look_up=not sizes.look_up)


def _measured(sizes: BatchSizes, limits: BatchLimits, size: int) -> bool:
    return len(sizes.samples.get(size, ())) >= limits.samples


def _too_slow(sizes: BatchSizes, limits: BatchLimits, size: int) -> bool:
    return _measured(sizes, limits, size) and median(sizes.samples[size]) > limits.slowest_batch


def _per_image(sizes: BatchSizes, size: int) -> float:
    return median(sizes.samples[size]) / size


def _above(size: int) -> int:
    return next((larger for larger in LADDER if larger > size), 2 * size)


def _below(size: int) -> int:
    return max((smaller for smaller in LADDER if smaller < size), default=1)
