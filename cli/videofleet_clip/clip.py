"""One clip from its job to its results."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobReport, JobState
from videofleet_clip.errors import FAILED, INTERRUPTED, WRONG_USE, ClipError, explained
from videofleet_clip.film import Film
from videofleet_clip.preview import previewed, show_window
from videofleet_clip.publishing import Workplace
from videofleet_clip.report import print_files, print_found
from videofleet_clip.screen import Screen, messages, output
from videofleet_clip.session import Session, Started
from videofleet_clip.watch import Seen, Watch
from videofleet_worker.outputs.live import Viewers
from videofleet_worker.pipeline.plan import AnalyticsPlan


@dataclass(frozen=True, slots=True)
class Shown:
    """How a clip is shown: its name, the port of the preview (None without one), and whether a film is made."""

    name: str
    port: int | None = None
    film: bool = True


async def run_clip(session: Session, workplace: Workplace, shown: Shown) -> int:
    """Analyse, and put the results into their folder; the exit code.

    Raises ClipError where it cannot run, and after its results are written where it ended with an error; OSError and
    ArchiveError where they cannot be written, and what `Session.run` raises.
    """
    began = time.monotonic()
    names = [each.name for each in session.job.spec.analytics]
    films = {name: Film(workplace.film(name)) for name in names} if shown.film else {}
    with ThreadPoolExecutor(len(names), "film") as threads:
        watch = Watch(films, threads)
        try:
            report = await _watched(session, watch, shown)
        finally:
            await watch.close()
    if watch.last is None:
        raise _error(report, session)
    assert session.plan is not None, "frames were analysed"
    for plan in session.plan.analytics:
        await asyncio.to_thread(_publish, workplace, plan, watch.seen.get(plan.name, Seen()), alone=len(names) == 1)
    rate = f", {watch.rate:.1f} a second" if watch.rate else ""
    output().print(f"{watch.frames} frames in {time.monotonic() - began:.1f} s{rate}")
    if report.code is not None:
        raise _error(report, session)
    return INTERRUPTED if session.interrupted else 0


async def _watched(session: Session, watch: Watch, shown: Shown) -> JobReport:
    notes, spec = messages(), session.job.spec
    screen = Screen(notes, watch, spec)
    started: list[Started] = []

    def on_start(one: Started) -> None:
        started.append(one)
        steps = "; ".join(", ".join(step.model for step in each.steps) for each in spec.analytics)
        notes.print(f"{shown.name}: {steps}, on {one.provider}")

    async def viewers() -> Viewers:
        await watch.begun.wait()
        return started[0].run.logs.pictures[spec.analytics[0].name].viewers

    async with AsyncExitStack() as stack:
        if shown.port is not None:
            address = await stack.enter_async_context(previewed(shown.name, shown.port, viewers))
            opened = await asyncio.to_thread(show_window, address)
            notes.print(f"pictures: {address}" + (" (in a browser)" if opened else ""))
        await stack.enter_async_context(screen.shown(shown.name))
        return await session.run(watch, on_start, screen.report)


def _publish(workplace: Workplace, plan: AnalyticsPlan, seen: Seen, *, alone: bool) -> None:
    published, console = workplace.publish(plan.name, seen), output()
    if not alone:
        console.print(f"{plan.name}:")
    print_found(console, published.result, seen, plan)
    console.print()
    print_files(console, published.files)


def _error(report: JobReport, session: Session) -> ClipError:
    if report.code is None:
        reason = "interrupted before the first frame" if session.interrupted else "the video has no frame"
        return ClipError(reason, INTERRUPTED if session.interrupted else FAILED)
    wrong = report.state is JobState.REFUSED or report.code in (ErrorCode.BAD_PARAMETER, ErrorCode.UNKNOWN_MODEL)
    return ClipError(explained(report.code, report.message or ""), WRONG_USE if wrong else FAILED)
