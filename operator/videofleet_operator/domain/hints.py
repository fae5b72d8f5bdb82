"""How many slots a worker takes: what its pool says, or what it finds that it holds where that is less and counts."""

from collections.abc import Iterable
from typing import NamedTuple

from videofleet_api.protocol import WorkerInfo
from videofleet_api.workerpool import AcceleratorType, CapacityHints
from videofleet_operator.domain.isolation import slots_per_worker
from videofleet_operator.domain.model import Pool, Worker


class Holding(NamedTuple):
    """Slots of a worker, and why they are fewer than its pool says: the end of a sentence that begins with its name.

    Empty where they are not.
    """

    slots: int
    limited: str = ""


def holding(pool: Pool, info: WorkerInfo | None) -> Holding:
    """Slots that a worker takes. One that has said nothing yet counts as its pool has it."""
    if info is None:
        return Holding(slots_per_worker(pool))
    given = min(info.capacity, slots_per_worker(pool))
    if info.hint is None or info.hint.slots >= given or not _counts(pool, info):
        return Holding(info.capacity)
    why = f"{info.fallback_reason}; it holds" if fell_back(pool, info) else "it holds"
    return Holding(info.hint.slots, f"takes {info.hint.slots} of {given} slots: {why} {info.hint.message}")


def fell_back(pool: Pool, info: WorkerInfo) -> bool:
    """Whether models run on the processor although the pool has an accelerator for them."""
    return wants_accelerator(pool) and info.provider == "cpu" and info.fallback_reason is not None


def wants_accelerator(pool: Pool) -> bool:
    """Whether the pool's workers ask for an accelerator."""
    return pool.spec.accelerator.type is not AcceleratorType.NONE


def limited_told(workers: Iterable[Worker]) -> str | None:
    """Which of them take fewer slots than their pool says, and why: the first by name, and how many more."""
    limited = sorted((worker.name, worker.limited) for worker in workers if worker.limited)
    if not limited:
        return None
    name, why = limited[0]
    return f"worker {name} {why}" + (f" (and {len(limited) - 1} more like it)" if limited[1:] else "")


def _counts(pool: Pool, info: WorkerInfo) -> bool:
    match pool.spec.capacity_hints:
        case CapacityHints.FALLBACK:
            return fell_back(pool, info)
        case CapacityHints.ALWAYS:
            return True
        case CapacityHints.IGNORE:
            return False
