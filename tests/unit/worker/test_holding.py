"""How many streams a worker finds that it holds."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from videofleet_worker.device.decoders import Capabilities, count_engines
from videofleet_worker.holding import GpuFacts, ProcessorFacts, on_gpu, on_processor
from videofleet_worker.models.runner import Runner
from videofleet_worker.models.speed import measure

GIB = 2**30


@pytest.mark.parametrize(
    ("cpus", "image_seconds", "slots"),
    [(1, 0.04, 2), (2, 0.04, 4), (16, 0.04, 33), (2, 0.4, 1), (1, 30.0, 1), (4096, 0.00001, 4096)],
)
def test_on_the_processor(cpus: int, image_seconds: float, slots: int) -> None:
    assert on_processor(ProcessorFacts(cpus, image_seconds)).slots == slots


def test_what_it_was_found_by_is_told() -> None:
    assert on_processor(ProcessorFacts(2, 0.0414)).message == (
        "4 streams of 1080p at 30 frames a second, 5 of them analysed, on 2 processors at 41 ms an image"
    )
    assert on_gpu(GpuFacts(3000, 1, memory=140 * GIB)).message == (
        "17 streams of 1080p at 30 frames a second, every frame analysed, by its 1 decoding engine"
    )


@pytest.mark.parametrize(
    ("facts", "slots", "scarcest"),
    [
        (GpuFacts(3000, 7, 0.0, 0.0, 140 * GIB), 85, "3000 images a second"),
        (GpuFacts(30000, 7, 0.0, 0.0, 140 * GIB), 119, "7 decoding engines"),
        (GpuFacts(30000, 7, 0.0, 0.0, 10 * GIB), 68, "10 GiB of free memory"),
        (GpuFacts(3000, 7, 0.5, 0.0, 140 * GIB), 42, "3000 images a second"),
        (GpuFacts(3000, 7, 0.0, 0.9, 140 * GIB), 11, "7 decoding engines"),
        (GpuFacts(3000), 85, "3000 images a second"),
        (GpuFacts(3000, 7, 1.0, 0.0, 140 * GIB), 1, "3000 images a second"),
    ],
    ids=["inference", "decoding", "memory", "kernels of others", "decoding of others", "a slice that tells nothing",
         "nothing left"],
)  # fmt: skip
def test_on_a_gpu_it_is_what_the_scarcest_part_holds(facts: GpuFacts, slots: int, scarcest: str) -> None:
    hint = on_gpu(facts)
    assert hint.slots == slots
    assert hint.message.endswith(f"by its {scarcest}")


def test_without_its_library_nobody_tells_how_many_engines_decode() -> None:
    assert count_engines("libnvcuvid-that-is-not-there.so.1") is None


_HEADER_SIZE = 88
"""Of CUVIDDECODECAPS."""

_LIBRARY = """
#include <string.h>
typedef struct {
    int codec, chroma; unsigned depth, reserved1[3]; unsigned char supported, engines; unsigned short formats;
    unsigned max_width, max_height, max_blocks; unsigned short min_width, min_height;
    unsigned char histogram, counter_bits; unsigned short bins; unsigned reserved3[10];
} Caps;
int cuvidGetDecoderCaps(Caps *caps) {
    if (caps->codec != 4 || caps->chroma != 1 || caps->depth != 0) return 1;
    caps->supported = 1; caps->engines = 7; return 0;
}
"""


def test_the_decoders_library_tells_how_many_engines_decode(tmp_path: Path) -> None:
    source, library = tmp_path / "caps.c", tmp_path / "caps.so"
    source.write_text(_LIBRARY, encoding="ascii")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert ctypes.sizeof(Capabilities) == _HEADER_SIZE
    assert count_engines(str(library)) == 7


class Counting(Runner):
    """Notes what it is given."""

    def __init__(self, fixed: int | None) -> None:
        self.fixed = fixed
        self.shapes: list[tuple[int, ...]] = []

    @property
    def image_shapes(self) -> tuple[tuple[int, int, int], ...]:
        return ((3, 4, 6),)

    @property
    def largest_batch(self) -> int | None:
        return self.fixed

    def run(self, batch: object) -> dict[str, np.ndarray]:  # type: ignore[override,type-arg]  # it only looks
        self.shapes.append(np.shape(batch))  # type: ignore[arg-type]  # an array
        return {}


@pytest.mark.parametrize(("batch", "fixed", "images"), [(False, None, 1), (True, None, 8), (True, 1, 1)])
def test_speed_is_measured_as_the_model_will_run(batch: bool, fixed: int | None, images: int) -> None:
    model = Counting(fixed)
    speed = measure(model, batch=batch)
    assert set(model.shapes) == {(images, 3, 4, 6)}
    assert speed.clock > 0
