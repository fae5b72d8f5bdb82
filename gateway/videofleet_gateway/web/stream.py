"""The page of one stream: its live view, why it is in its phase, and how it came there."""

import asyncio
from typing import Final

from nicegui import Client
from starlette.requests import Request
from starlette.responses import Response

from videofleet_api.phases import Phase
from videofleet_api.videojob import Transition, VideoJobStatus
from videofleet_gateway.context import Context
from videofleet_gateway.errors import not_found
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.web.elements import Node
from videofleet_gateway.web.guard import Visitor
from videofleet_gateway.web.shell import page, while_open
from videofleet_gateway.web.streams import GRID, PAUSE, Picture
from videofleet_gateway.web.tables import Badge, Facts, Table
from videofleet_gateway.web.words import called, clean, moment, source_of, steps_of

_FACTS: Final = (
    "VideoJob", "Reason", "Message", "Since", "Video", "Steps", "Worker", "Failed attempts", "Next attempt",
    "Last error", "Frames analysed", "Frames a second", "Frames not analysed",
)  # fmt: skip


async def show(request: Request, context: Context, name: str) -> Response:
    """One job of the project."""
    view = _View(context, request, name)
    return await page(request, f"Stream {view.title}", GRID, view.build)


def job_of(context: Context, request: Request, name: str) -> Job:
    """The project's job of this name. Raises GatewayError, NOT_FOUND."""
    job = context.jobs.cache.by_name(request.state.project.namespace, name)
    if job is None:
        raise not_found(f"there is no stream {name[:253]!r}")
    return job


class _View:
    def __init__(self, context: Context, request: Request, name: str) -> None:
        self._context = context
        self._request = request
        self._visitor: Visitor = request.state.visitor
        self._name = name
        self._look = 0
        self._live = False
        self._job = job_of(context, request, name)
        self.title = called(self._job)

    async def build(self, client: Client) -> None:
        """Everything below the heading."""
        with Node("p", role="status"):
            Node("span", "Phase: ")
            self._phase = Badge()
        self._picture = Picture(self._context, "view")
        self._watch = Node("img", classes="view", alt=f"Live view of {self.title}", hidden="")
        self._switch = Node("button", type="button")
        self._switch.on("click", self._turn, args=[])
        self._facts = Facts(*_FACTS)
        Node("h2", "Conditions")
        self._conditions = Table("Conditions", "Condition", "Holds", "Reason", "Message", "Since")
        Node("h2", "History")
        self._history = Table("History", "Time", "From", "To", "Reason", "Message", "Worker")
        self._tell()
        while_open(client, self._visitor, self._follow)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            self._look += 1
            self._job = job_of(self._context, self._request, self._name)
            self._tell()

    def _turn(self) -> None:
        """Begin to watch, or end it: what moves can be stopped."""
        self._live = not self._live
        self._tell()

    def _tell(self) -> None:
        job, status = self._job, self._job.status
        self._phase.show(status.phase)
        self._tell_view()
        self._facts.fill(*_facts(job, status))
        self._conditions.fill(
            [
                (one.type, one.status, one.reason, clean(one.message), moment(one.last_transition_time))
                for one in status.conditions
            ]
        )
        self._history.fill([_change(each) for each in reversed(status.history or [])])

    def _tell_view(self) -> None:
        status = self._job.status
        can_watch = self._context.workers.reachable and status.phase is Phase.INPROGRESS
        live = can_watch and self._live
        self._switch.put("hidden", None if can_watch else "")
        self._switch.say("Stop the live view" if live else "Watch live")
        # The script of the page has it on again where the page had to be made anew.
        self._switch.put("data-live", "on" if live else "off")
        self._picture.show(self._job, self._look)
        if live:
            self._picture.put("hidden", "")
        self._watch.put("hidden", None if live else "")
        # Another epoch is another worker: the old picture would stand still.
        self._watch.put("src", f"{GRID}/{self._name}/live?{status.epoch}" if live else None)


def _facts(job: Job, status: VideoJobStatus) -> tuple[str, ...]:
    error, counts = status.last_error, status.statistics
    return (
        job.name,
        status.reason or "-",
        clean(status.message),
        moment(status.since),
        source_of(job),
        steps_of(job),
        status.worker.name if status.worker else "-",
        str(status.attempt),
        moment(status.next_retry_time),
        clean(f"{error.code}: {error.message}") if error else "-",
        str(counts.processed_frames if counts else 0),
        f"{counts.processed_fps:.1f}" if counts and counts.processed_fps is not None else "-",
        ", ".join(f"{cause}: {count}" for cause, count in counts.dropped_frames.items()) if counts else "-",
    )


def _change(one: Transition) -> tuple[str, ...]:
    return moment(one.time), one.from_, one.to, one.reason or "-", clean(one.message), one.worker or "-"
