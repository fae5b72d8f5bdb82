"""`make bench-gpu`: streams that a worker holds on an NVIDIA GPU, as a share of what its parts do alone.

Writes docs/bench/gpu.json and the table in docs/benchmarks.md. Without a GPU it says what is missing, measures nothing
and exits with 2. `--dry-run` runs the same code in seconds with the processor for a device and FFmpeg's decoder in
NVDEC's place, and writes nothing: its figures say nothing of a GPU.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.control.rows import GPU, Row, Table, head
from tests.bench.data.clips import FULL_HD, enlarged, megabits
from tests.bench.gpu import bench, ceilings
from tests.bench.gpu.agreement import agree
from tests.bench.gpu.footage import read
from tests.bench.gpu.streams import LATEST, Trial, hold, most
from videofleet_worker.models.providers import probe

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "docs/bench/gpu.json"
PAGE = REPOSITORY / "docs/benchmarks.md"
MISSING = 2
"""Exit code where there is no GPU to measure."""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    size: tuple[int, int]
    frames: int
    compared: int
    seconds: float
    threads: int
    batch: int
    rate: int = 30
    latest: float = LATEST


WHOLE = Extent(FULL_HD, 300, 60, 10.0, 16, 32)
# So slow that a processor which has other things to do holds a stream.
DRY = Extent((640, 360), 30, 8, 2.0, 2, 2, rate=1, latest=10.0)


def main() -> int:
    """Measure, write, say where; the exit code."""
    parser = argparse.ArgumentParser(prog="make bench-gpu", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="try the code on the processor; nothing is written")
    options = parser.parse_args()
    facts = probe()
    processor = bench.on_processor(facts)
    try:
        device = processor if options.dry_run else bench.on_gpu(facts)
    except bench.NoGpuError as error:
        print(f"make bench-gpu measures nothing here. Missing: {error}", file=sys.stderr)
        return MISSING
    with tempfile.TemporaryDirectory(prefix="videofleet-bench-") as folder:
        table = _measured(device, processor, DRY if options.dry_run else WHOLE, Path(folder))
    if options.dry_run:
        print(table.markdown())
        print("a dry run: nothing is written")
        return 0
    table.write(RESULTS, PAGE, GPU)
    print(f"written: {RESULTS.relative_to(REPOSITORY)}, {PAGE.relative_to(REPOSITORY)}")
    return 0


def _measured(device: bench.Bench, processor: bench.Bench, extent: Extent, folder: Path) -> Table:
    clip = enlarged(folder, extent.size, extent.frames, extent.rate)
    footage = read(clip, extent.rate)
    # First of all: a rate of wrong answers is none.
    alike = agree(device, processor, footage, extent.compared)
    _tell(alike)
    decoded = ceilings.decoding(device, footage, extent.seconds, extent.threads)
    _tell(f"decoder alone: {decoded:.0f} frames a second")
    images, batch = ceilings.inference(device, footage, extent.seconds / 2, extent.batch)
    _tell(f"{device.provider} alone: {images:.0f} images a second in batches of {batch}")

    async def attempt(streams: int) -> Trial:
        trial = await hold(device, footage, Trial(streams, extent.latest), extent.seconds)
        _tell(_in_words(trial))
        return trial

    held = asyncio.run(most(attempt, max(1, int(min(decoded, images) / extent.rate))))
    about = (
        f"{device.named}, {device.provider}; H.264 of {megabits(clip):.1f} Mbit/s, {extent.size[0]}x{extent.size[1]}; "
        f"{device.detector.model.name}, ByteTrack; {alike}; of {_in_words(held)}"
    )
    return Table(head() | {"gpu": device.named}, _rows(device, extent, held, (decoded, images, batch), about))


def _rows(device: bench.Bench, extent: Extent, held: Trial, alone: tuple[float, float, int], about: str) -> list[Row]:
    decoded, images, batch = alone
    served = [held.streams * extent.rate if held.held else 0.0]
    what = f"streams of {extent.rate} frames a second held, p95 below {1000 * extent.latest:.0f} ms; frames a second"
    scarcer = min(decoded, images)
    return [
        Row(what, "the scarcer of decoder and model, each alone", served, [scarcer], 0.85, "1/s", True, about),
        Row("decoder alone", "", [decoded], unit="frames a second", more_is_better=True),
        Row("model alone, bound", "", [images], unit="images a second", more_is_better=True,
            remark=f"{device.provider}, batches of {batch}"),
        Row("room of batches that is filled", "", [held.occupancy], reach=0.9, unit="", more_is_better=True),
        Row("arrival to tracked objects, p95", "", [1000 * held.p95], reach=1000 * extent.latest, unit="ms"),
    ]  # fmt: skip


def _in_words(trial: Trial) -> str:
    told = f"{trial.streams} streams, p95 {1000 * trial.p95:.0f} ms, {trial.share:.1%} of the frames analysed"
    return f"{told}, batches {trial.occupancy:.0%} full{f', FAILED: {trial.failure}' if trial.failure else ''}"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
