"""`kubectl videojob tail`: what becomes of a job, line by line."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from kubectl_videojob.cluster import Json, jobs_path
from kubectl_videojob.console import clock, output, phase_text, utc_now
from kubectl_videojob.errors import NOT_COMPLETED, TIMED_OUT, UserError
from kubectl_videojob.flags import Flags
from kubectl_videojob.following import Change, follow, outcome
from videofleet_api.codes import DropCause


def tail(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="Name of the VideoJob.")],
    until_done: Annotated[
        bool,
        typer.Option(
            "--until-done",
            help="End with the job. Exit code 0: COMPLETED; 3: it ended otherwise, or needs a user; 4: --timeout.",
        ),
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds after which to stop.", min=0.1)] = None,
) -> None:
    """Follow phases, Events and progress of a job, as they happen."""
    job = flags.cluster.get(jobs_path(flags.cluster.namespace, name))
    console, lines = output(), Lines()
    try:
        for change in follow(flags.cluster, job, timeout=timeout):
            for line in lines.of(change):
                console.print(line, soft_wrap=True)
            if change.deleted:
                raise UserError(f"VideoJob {name} was deleted", NOT_COMPLETED)
            end = outcome(change.job) if until_done and change.job is not None else None
            if end is not None:
                raise typer.Exit(end.code)
    except TimeoutError:
        raise UserError(f"VideoJob {name} is not done after {timeout:g} s", TIMED_OUT) from None


class Lines:
    """Turns changes into lines; what was told already is not told again."""

    def __init__(self) -> None:
        self._phase: tuple[object, ...] = ()
        self._progress: tuple[object, ...] = ()

    def of(self, change: Change) -> Iterator[Text]:
        """Lines of one change."""
        if change.event is not None:
            yield _event_line(change.event)
        if change.job is not None:
            yield from self._job_lines(change.job.get("status") or {})

    def _job_lines(self, status: Json) -> Iterator[Text]:
        phase = (status.get("phase"), status.get("reason"), status.get("epoch"))
        if status.get("phase") and phase != self._phase:
            self._phase = phase
            yield _phase_line(status)
        told = progress_words(status)
        if told and told != self._progress:
            self._progress = told
            yield _line(_now(), Text("progress"), "", ", ".join(told))


def progress_words(status: Json) -> tuple[str, ...]:
    """Share, rate and losses, as far as they are known."""
    progress, figures = status.get("progress") or {}, status.get("statistics") or {}
    words = []
    if progress.get("percent"):
        words.append(progress["percent"])
    if figures.get("processedFps") is not None:
        words.append(f"{figures['processedFps']} frames a second")
    if figures.get("processedFrames"):
        words.append(f"{figures['processedFrames']} frames")
    dropped = figures.get("droppedFrames") or {}
    if lost := sum(count for cause, count in dropped.items() if cause != DropCause.SAMPLING):
        words.append(f"{lost} dropped")
    return tuple(words)


def _phase_line(status: Json) -> Text:
    worker = (status.get("worker") or {}).get("name", "")
    message = " ".join(part for part in (f"[{worker}]" if worker else "", status.get("message") or "") if part)
    return _line(clock(status.get("since")), phase_text(status["phase"]), status.get("reason") or "", message)


def _event_line(event: Json) -> Text:
    time = event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")
    style = "yellow" if event.get("type") == "Warning" else ""
    return _line(clock(time), Text("event", style=style), event.get("reason", ""), event.get("message", ""))


def _line(time: str, what: Text, reason: str, message: str) -> Text:
    what.pad_right(max(0, 18 - len(what)))
    return Text(f"{time:<10}").append_text(what).append(f"{reason:<20}{message}".rstrip())


def _now() -> str:
    return clock(utc_now().isoformat())
