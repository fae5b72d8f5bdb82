"""The page of streams: a grid of all jobs of the project with their phases and pictures."""

import asyncio
from typing import Final
from urllib.parse import urlencode

from nicegui import Client
from starlette.requests import Request
from starlette.responses import Response

from videofleet_api.phases import Phase
from videofleet_gateway.context import Context
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.store.keys import Project
from videofleet_gateway.web.elements import Node, Rows
from videofleet_gateway.web.guard import PATH, Visitor
from videofleet_gateway.web.shell import page, while_open
from videofleet_gateway.web.tables import Badge
from videofleet_gateway.web.words import called, clean

GRID: Final = f"{PATH}/streams"
LENGTH: Final = 48
PAUSE: Final = 1.0
"""Seconds between two looks."""
_PICTURE_EVERY: Final = 5
"""Looks after which there is another picture."""


async def show(request: Request, context: Context) -> Response:
    """The project's jobs by name; `?after=` those behind a name."""
    return await page(request, "Streams", GRID, _Grid(context, request).build)


class Picture(Node):
    """A picture of a stream that is analysed, as long as it is and the gateway may ask its worker."""

    def __init__(self, context: Context, classes: str) -> None:
        super().__init__("img", classes=classes, alt="", hidden="")
        self._reachable = context.workers.reachable

    def show(self, job: Job, look: int) -> None:
        """That of now; `look` counts."""
        shown = self._reachable and job.status.phase is Phase.INPROGRESS
        self.put("hidden", None if shown else "")
        self.put("alt", f"Picture of {called(job)}" if shown else "")
        self.put("src", f"{GRID}/{job.name}/snapshot.jpg?{look // _PICTURE_EVERY}" if shown else None)


class _Grid:
    def __init__(self, context: Context, request: Request) -> None:
        self._context = context
        self._project: Project = request.state.project
        self._visitor: Visitor = request.state.visitor
        self._after = request.query_params.get("after", "")
        self._look = 0

    async def build(self, client: Client) -> None:
        """Everything below the heading."""
        self._nothing = Node("p", "There are no streams here.")
        self._cards: Rows[str, _Card] = Rows(
            Node("ul", classes="grid", aria_label="Streams"), lambda name: _Card(self._context, name)
        )
        self._more = Node("a", "More streams")
        self._fill()
        while_open(client, self._visitor, self._follow)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            self._look += 1
            self._fill()

    def _fill(self) -> None:
        jobs = sorted(self._context.jobs.cache.in_namespace(self._project.namespace), key=lambda job: job.name)
        rest = [job for job in jobs if job.name > self._after]
        shown = rest[:LENGTH]
        self._cards.show(job.name for job in shown)
        for job in shown:
            self._cards.parts[job.name].fill(job, self._look)
        self._nothing.put("hidden", "" if shown else None)
        is_more = len(rest) > LENGTH
        self._more.put("hidden", None if is_more else "")
        self._more.put("href", f"{GRID}?{urlencode({'after': shown[-1].name})}" if is_more else None)


class _Card(Node):
    def __init__(self, context: Context, name: str) -> None:
        super().__init__("li", classes="card")
        with self:
            self._picture = Picture(context, "picture")
            with Node("div"):
                with Node("h2"):
                    self._name = Node("a", href=f"{GRID}/{name}")
                with Node("p"):
                    self._phase = Badge()
                self._why = Node("p", classes="hint")

    def fill(self, job: Job, look: int) -> None:
        """What is known of it now."""
        self._picture.show(job, look)
        self._name.say(called(job))
        self._phase.show(job.status.phase)
        self._why.say(clean(job.status.message) if job.status.message else "")
