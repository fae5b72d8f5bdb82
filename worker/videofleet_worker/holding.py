"""How many streams a worker holds, from what it finds at its start. An estimate: what streams cost shows later.

A slot stands for a stream of 1080p at 30 frames a second. On a GPU every frame is analysed; on the processor 5 of them,
as live streams drop what is too much for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from videofleet_api.protocol import MAX_CAPACITY, CapacityHint

RATE: Final = 30
"""Frames a second of a stream."""
LEAST_RATE: Final = 5
"""Those of them that the processor analyses at the least."""
DECODING_SECONDS: Final = 0.007
"""Processor time to decode one frame of 1080p, scale it and hand it over (docs/benchmarks.md)."""
SHARE: Final = 0.85
"""Of a processor or a GPU that streams may take: bursts need the rest."""
ENGINE_RATE: Final = 600
"""Frames of 1080p a second that one decoding engine of a GPU is taken to decode."""
STREAM_MEMORY: Final = 128 * 2**20
"""Of a GPU, for a stream of 1080p: the decoder's surfaces, and the slots that frames wait in."""


@dataclass(frozen=True)
class ProcessorFacts:
    """Processors that may be used, and the processor time that the usual detector takes for an image, in seconds."""

    cpus: int
    image_seconds: float


@dataclass(frozen=True)
class GpuFacts:
    """A GPU at the worker's start. None for what it does not tell.

    `images`: what the usual detector takes a second. `busy`, `decoding`: shares (0 to 1) of its kernels' and its
    decoders' time that others take now. `memory`: bytes that are free.
    """

    images: float
    engines: int | None = None
    busy: float | None = None
    decoding: float | None = None
    memory: int | None = None


def on_processor(facts: ProcessorFacts) -> CapacityHint:
    """What a worker holds whose models run on the processor."""
    cost = RATE * DECODING_SECONDS + LEAST_RATE * facts.image_seconds
    slots = _slots(SHARE * facts.cpus / cost)
    return CapacityHint(
        slots=slots,
        message=f"{_counted(slots)}, {LEAST_RATE} of them analysed, on {_count(facts.cpus, 'processor')} at "
        f"{1000 * facts.image_seconds:.0f} ms an image",
    )


def on_gpu(facts: GpuFacts) -> CapacityHint:
    """What a worker holds whose models run on a GPU: what the scarcest of its parts holds."""
    found = _parts(facts)
    scarcest = min(found, key=lambda part: found[part])
    slots = _slots(found[scarcest])
    return CapacityHint(slots=slots, message=f"{_counted(slots)}, every frame analysed, by its {scarcest}")


def _parts(facts: GpuFacts) -> Mapping[str, float]:
    """Streams that each part holds, those parts that are known."""
    parts = {f"{facts.images:.0f} images a second": SHARE * _idle(facts.busy) * facts.images / RATE}
    if facts.engines is not None:
        rate = facts.engines * ENGINE_RATE
        parts[_count(facts.engines, "decoding engine")] = SHARE * _idle(facts.decoding) * rate / RATE
    if facts.memory is not None:
        parts[f"{facts.memory / 2**30:.0f} GiB of free memory"] = SHARE * facts.memory / STREAM_MEMORY
    return parts


def _idle(busy: float | None) -> float:
    return 1.0 if busy is None else 1.0 - busy


def _slots(streams: float) -> int:
    return max(1, min(int(streams), MAX_CAPACITY))


def _counted(slots: int) -> str:
    return f"{_count(slots, 'stream')} of 1080p at {RATE} frames a second"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
