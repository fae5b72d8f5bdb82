"""`make bench-data`: the data plane beside its peers, which run in environments of their own, in turn.

Writes docs/bench/data.json and the table in docs/benchmarks.md; rows that a run does not measure stay as they were.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.control.rows import DATA, Table, head
from tests.bench.data import archiving, decoding, faults, files, latency, overload, sampling, streams, tracking
from tests.bench.data.setup import Setup

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "docs/bench/data.json"
PAGE = REPOSITORY / "docs/benchmarks.md"
PARTS = {
    "decode": decoding.decode_rows,
    "sampling": sampling.sampling_rows,
    "streams": streams.stream_rows,
    "files": files.file_rows,
    "latency": latency.latency_rows,
    "overload": overload.overload_rows,
    "archive": archiving.archive_rows,
    "faults": faults.fault_rows,
    "speed": tracking.speed_rows,
    "quality": tracking.quality_rows,
}


def by_itself(table: Table, earlier: dict[str, Any]) -> Table:
    """The rows of one part say what load they were measured at; the head stays that of the rows that are kept."""
    told = f"measured by itself, {table.head['date']}, load {table.head['load']}"
    return Table(earlier, [replace(row, remark="; ".join(filter(None, [row.note, told]))) for row in table.rows])


def main() -> None:
    """Measure, write, say where."""
    parser = argparse.ArgumentParser(prog="make bench-data", description=__doc__)
    parser.add_argument("--part", choices=sorted(PARTS), help="only this; without it all")
    parser.add_argument("--rounds", type=int, default=7, help="how often ours and the peers take turns")
    parser.add_argument("--seeds", type=int, default=24, help="how many degradations of the ground truth")
    parser.add_argument("--frames", type=int, default=300, help="how many of a clip")
    parser.add_argument("--seconds", type=float, default=20, help="how long cameras are watched")
    parser.add_argument("--reconnects", type=int, default=300, help="how often cameras are lost")
    parser.add_argument("--overload-seconds", type=float, default=600, help="how long there is too much to do")
    options = parser.parse_args()
    table = Table(head())
    with tempfile.TemporaryDirectory(prefix="videofleet-bench-") as folder:
        for part in [options.part] if options.part else PARTS:
            table.rows += PARTS[part](
                Setup(
                    REPOSITORY,
                    Path(folder),
                    options.rounds,
                    options.seeds,
                    options.frames,
                    options.seconds,
                    options.reconnects,
                    options.overload_seconds,
                )
            )
    table.head["load"] += f", {os.getloadavg()[1]:.1f} at the end"
    if options.part and RESULTS.exists():
        table = by_itself(table, Table.read(RESULTS).head)
    table.keep_others(RESULTS)
    table.write(RESULTS, PAGE, DATA)
    print(f"written: {RESULTS.relative_to(REPOSITORY)}, {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
