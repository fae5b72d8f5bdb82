"""What people see while a clip is analysed. A bar on a terminal, elsewhere a line every ten seconds; on stderr."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videofleet_api.protocol import JobReport, JobSpec, JobState
from videofleet_clip.watch import Watch

_WIDE: Final = 1000
_REFRESH_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 10.0


def output() -> Console:
    """Standard output. Where it is no terminal, lines are as long as they are."""
    return _console(stderr=False)


def messages() -> Console:
    """Standard error."""
    return _console(stderr=True)


def clock(seconds: float) -> str:
    """A time in the video: 1:02.4, 1:00:05.0."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{text}" if hours else text


class Screen:
    """Shows how far a run is."""

    def __init__(self, console: Console, watch: Watch, spec: JobSpec) -> None:
        self._console = console
        self._watch = watch
        self._spec = spec
        self._reconnecting = False

    def report(self, report: JobReport) -> None:
        """Something changed in the run: what a person should know is told at once."""
        if report.state is JobState.RECONNECTING and report.message:
            self._reconnecting = True
            self._console.print(f"reconnecting: {report.message}")
        elif self._reconnecting and report.state is JobState.RUNNING:
            self._reconnecting = False
            self._console.print("connected again")

    @asynccontextmanager
    async def shown(self, name: str) -> AsyncIterator[None]:
        """Show it meanwhile."""
        showing = asyncio.create_task(self._bar(name) if self._console.is_terminal else self._lines())
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    async def _bar(self, name: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(name, total=None, told="opening")
            while True:
                share = self._share()
                bar.update(task, total=None if share is None else 1.0, completed=share or 0.0, told=self._told())
                await asyncio.sleep(_REFRESH_SECONDS)

    async def _lines(self) -> None:
        before = self._told()
        while True:
            await asyncio.sleep(_LINE_SECONDS)
            if (told := self._told()) != before:
                self._console.print(told)
            before = told

    def _told(self) -> str:
        watch, last = self._watch, self._watch.last
        if last is None:
            return "opening"
        words = [f"{watch.frames} frames"]
        if (share := self._share()) is not None:
            words.insert(0, f"{share:.0%}")
        if watch.rate:
            words.append(f"{watch.rate:.1f} a second")
        words.append(f"at {clock(last.pts)}")
        tracks = sum(len(seen.tracks) for seen in watch.seen.values())
        return ", ".join([*words, f"{tracks} tracks"] if tracks else words)

    def _share(self) -> float | None:
        """How much is done, 0 to 1; None where nobody knows the end."""
        watch, last, most = self._watch, self._watch.last, self._spec.max_frames
        if last is None:
            return None
        shares = [watch.frames / most] if most else []
        if last.total_frames:
            shares.append((last.frame_index + 1 - watch.first_frame) / last.total_frames)
        return min(1.0, max(shares)) if shares else None


def _console(*, stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else int(os.environ.get("COLUMNS", _WIDE))
    return Console(stderr=stderr, width=width, highlight=False, emoji=False, markup=False)
