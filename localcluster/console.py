"""Progress with a running clock.

Progress goes to stderr, so that stdout carries only what a script wants to read (a path, a list).
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET_INTERVAL_S = 30.0


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


def clock_text(seconds: float) -> str:
    """``75.2`` as ``1:15``."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


class Step:
    """One piece of work that is under way; ``tick`` shows the clock when it is time to."""

    def __init__(self, title: str, out: TextIO) -> None:
        self.title = title
        self.detail = ""
        self._out = out
        self._live = out.isatty()
        self.started = time.monotonic()
        self._last_shown = self.started

    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def tick(self) -> None:
        """Show the clock: at every call on a terminal, every 30 s elsewhere."""
        now = time.monotonic()
        if not self._live and now - self._last_shown < QUIET_INTERVAL_S:
            return
        self._last_shown = now
        detail = f" ({self.detail})" if self.detail else ""
        line = f"  [{clock_text(now - self.started)}] {self.title}{detail} ..."
        self._out.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._out.flush()

    def finish(self, outcome: str) -> None:
        """Replace the clock by the outcome and the time it took."""
        self._out.write("\r\x1b[K" if self._live else "")
        self._out.write(f"  {self.title}: {outcome} in {self.elapsed():.1f} s\n")
        self._out.flush()


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Run a block as one step, telling how it ended."""
    current = Step(title, sys.stderr)
    if not sys.stderr.isatty():
        say(f"  {title} ...")
    else:
        current.tick()
    try:
        yield current
    except BaseException:
        current.finish("failed")
        raise
    current.finish("done")
