"""What the demo prints: numbered steps with a clock."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_began = time.monotonic()


def say(text: str = "") -> None:
    """One line, at once."""
    print(text, flush=True)


def clock() -> str:
    """Time since the start, as mm:ss."""
    seconds = int(time.monotonic() - _began)
    return f"{seconds // 60:02d}:{seconds % 60:02d}"


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    say(f"\n[{clock()}] {title}")
    began = time.monotonic()
    yield
    say(f"[{clock()}] done in {time.monotonic() - began:.0f} s")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows in aligned columns, indented."""
    texts = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        say("    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class DemoError(Exception):
    """Something that the demo cannot go on without; the message says what to do."""


def fail(error: BaseException) -> int:
    """Print an error; returns the exit code."""
    print(f"\ndemo: {error}", file=sys.stderr, flush=True)
    return 1
