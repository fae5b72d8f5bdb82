"""`make bench-gateway`: streams to a thousand clients, beside an application that tails a file for each of them.

Writes docs/bench/gateway.json and the table in docs/benchmarks.md. Server and clients share the cores of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.control.rows import GATEWAY, Row, Table, head, percentile
from tests.bench.gateway.measuring import Measured, Size, ours, peers

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "docs/bench/gateway.json"
PAGE = REPOSITORY / "docs/benchmarks.md"
LOOKS = (
    "the gateway hears from the worker that there is another segment, and reads it from the archive; the peer looks at "
    "its file every 0.1 s for each client, and what it serves need not be on a disk"
)
PEER = "a file tailed for each client (Starlette, uvicorn)"


async def measured(size: Size, rounds: int) -> list[Row]:
    """The rows of one shape; ours and the peer's take turns."""
    mine: list[Measured] = []
    theirs: list[Measured] = []
    for _ in range(rounds):
        for found, measure in ((mine, ours), (theirs, peers)):
            with tempfile.TemporaryDirectory(prefix="videofleet-bench-") as folder:
                found.append(await measure(Path(folder), size))
    return rows(size, mine, theirs)


def rows(size: Size, mine: Sequence[Measured], theirs: Sequence[Measured]) -> list[Row]:
    """What is told of the rounds."""
    name = f"{size.clients} clients on {size.logs} log{'s' if size.logs > 1 else ''}"
    late = f"{statistics.median(one.sealed for one in mine):.0f} segments were sealed a second, in all logs"

    def row(what: str, unit: str, figures: list[list[float]], *, more: bool = False, remark: str = "") -> Row:
        return Row(f"{what}, {name}", PEER, *figures, unit=unit, more_is_better=more, remark=remark)

    both = (mine, theirs)
    return [
        row("CPU a client", "ms/s", [[one.cpu / size.clients * 1000 for one in some] for some in both]),
        row("memory a client", "KiB", [[one.memory / size.clients / 1024 for one in some] for some in both]),
        row("sent", "MB/s", [[one.bytes / 1e6 for one in some] for some in both], more=True, remark=late),
        row(
            "sealed to received, p95",
            "s",
            [[percentile(one.waits, 0.95) for one in some] for some in both],
            remark=LOOKS,
        ),
    ]


def main() -> None:
    """Measure, write, say where."""
    parser = argparse.ArgumentParser(prog="make bench-gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often ours and the peer take turns")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20, help="for which results are written")
    parser.add_argument("--dry-run", action="store_true", help="print the figures, write nothing")
    options = parser.parse_args()
    table = Table(head())
    for logs in (1, 100):
        table.rows += asyncio.run(measured(Size(options.clients, logs, options.seconds), options.rounds))
    table.head["load"] += f", {os.getloadavg()[1]:.1f} at the end"
    if options.dry_run:
        print(table.markdown())
        return
    table.write(RESULTS, PAGE, GATEWAY)
    print(f"written: {RESULTS.relative_to(REPOSITORY)}, {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
