"""The application at /ui: its routes, and NiceGUI for as long as it runs."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from nicegui import ui
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from videofleet_gateway.config import Config
from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.serving.applications import application
from videofleet_gateway.serving.door import Crowd, Door
from videofleet_gateway.sessions import COOKIE, LASTS, Sessions
from videofleet_gateway.tasks.request import read
from videofleet_gateway.tasks.staging import Staging
from videofleet_gateway.tasks.submission import Submission
from videofleet_gateway.tasks.tasks import Tasks
from videofleet_gateway.web import documents, pictures, stream, streams, submit, task, tasks
from videofleet_gateway.web.guard import PATH, SIGN_IN, Guard

_HOME: Final = tasks.LIST
_INSIDE: Final = re.compile(rf"{PATH}(/[A-Za-z0-9_./?=&%-]*)?")
"""Where one may be sent after signing in."""
_RECONNECT: Final = 10.0
"""Seconds that a page is kept for a browser that has lost its connection."""


@asynccontextmanager
async def running(context: Context, crowd: Crowd) -> AsyncGenerator[ASGIApp, None]:
    """The page with everything before it. One in a process: NiceGUI knows no more."""
    pages = application("Page", "", "1", documents.failure, "")
    sessions = Sessions(context.keys, context.clock)
    Routes(context, sessions).add(pages)
    pages.mount("/static", StaticFiles(directory=documents.STATIC))
    nicegui = FastAPI(openapi_url=None)
    ui.run_with(
        nicegui,
        title="videofleet",
        language="en-US",
        dark=None,
        # Nothing is bound, and what is fetched is fetched from here alone.
        binding_refresh_interval=None,
        tailwind=False,
        gzip_middleware_factory=None,
        show_welcome_message=False,
        reconnect_timeout=_RECONNECT,
    )
    async with nicegui.router.lifespan_context(nicegui):
        yield Door(
            Guard(pages, nicegui, sessions),
            "ui",
            documents.failure,
            context.config,
            context.metrics,
            crowd,
            body_limit=partial(_body_limit, context.config),
        )


def _body_limit(config: Config, scope: Scope) -> int:
    return config.max_body_bytes + (config.max_upload_bytes if scope["path"] == submit.FORM else 0)


class Routes:
    """One method a route."""

    def __init__(self, context: Context, sessions: Sessions) -> None:
        self._context = context
        self._sessions = sessions
        self._tasks = Tasks(context.jobs, context.archive, context.clock)
        self._takes_files = bool(context.config.staging_url)
        self._submission = Submission(context, self._tasks, Staging(context))

    def add(self, app: FastAPI) -> None:
        """To the application."""
        for path in ("", "/"):
            app.get(path)(self.home)
        app.get("/sign-in")(self.ask)
        app.post("/sign-in")(self.sign_in)
        app.post("/sign-out")(self.sign_out)
        app.get("/tasks")(self.tasks)
        app.get("/tasks/{task_id}")(self.task)
        app.post("/tasks/{task_id}/cancel")(self.cancel)
        app.get("/streams")(self.streams)
        app.get("/streams/{name}")(self.stream)
        app.get("/streams/{name}/snapshot.jpg")(self.snapshot)
        app.get("/streams/{name}/live")(self.live)
        app.get("/submit")(self.form)
        app.post("/submit")(self.submit)

    async def home(self) -> Response:
        """To the first page."""
        return _go(_HOME)

    async def ask(self, request: Request) -> Response:
        """Who is there."""
        return documents.sign_in(request.query_params.get("next", _HOME))

    async def sign_in(self, request: Request) -> Response:
        """Take a key, and remember that it was shown."""
        given = await request.form()
        wanted = str(given.get("next", ""))
        try:
            cookie = await self._sessions.begin(str(given.get("key", "")).strip())
        except GatewayError as error:
            if error.failure is not Failure.UNAUTHENTICATED:
                raise
            return documents.sign_in(wanted, error.message)
        answer = _go(wanted if _INSIDE.fullmatch(wanted) else _HOME)
        answer.set_cookie(
            COOKIE, cookie, max_age=LASTS, httponly=True, samesite="strict", secure=_is_encrypted(request)
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Forget it."""
        answer = _go(SIGN_IN)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_encrypted(request))
        return answer

    async def tasks(self, request: Request) -> Response:
        """The newest tasks."""
        return await tasks.show(request, self._tasks)

    async def task(self, request: Request, task_id: str) -> Response:
        """One of them."""
        return await task.show(request, self._context, self._tasks, task_id)

    async def cancel(self, request: Request, task_id: str) -> Response:
        """Have it stopped."""
        await self._count(request)
        found = await self._tasks.find(request.state.project, task_id)
        if await self._tasks.status(found) in (TaskStatus.PENDING, TaskStatus.RUNNING):
            await self._tasks.cancel(found)
        return _go(f"{tasks.LIST}/{found.id}")

    async def streams(self, request: Request) -> Response:
        """All jobs."""
        return await streams.show(request, self._context)

    async def stream(self, request: Request, name: str) -> Response:
        """One of them."""
        return await stream.show(request, self._context, name)

    async def snapshot(self, request: Request, name: str) -> Response:
        """Its picture."""
        return await pictures.snapshot(self._context, stream.job_of(self._context, request, name))

    async def live(self, request: Request, name: str) -> Response:
        """Its pictures, one after the other."""
        return await pictures.live(self._context, stream.job_of(self._context, request, name))

    async def form(self) -> Response:
        """For a new one."""
        return submit.form(self._takes_files)

    async def submit(self, request: Request) -> Response:
        """Make one."""
        await self._count(request)
        given = await request.form()
        try:
            async with self._submission.video() as video:
                wanted = read(await submit.wanted(given, video.take))
                made = await self._submission.submit(request.state.project, wanted, video)
        except GatewayError as error:
            return submit.form(self._takes_files, given, error)
        return _go(f"{tasks.LIST}/{made.id}")

    async def _count(self, request: Request) -> None:
        """What is asked here counts like what is asked of the video API."""
        limit = self._context.config.v_requests_per_minute
        await self._context.windows.check(f"v/{request.state.project.id}", limit)


def _go(path: str) -> Response:
    return RedirectResponse(path, status_code=303)


def _is_encrypted(request: Request) -> bool:
    """On the way to the gateway, or to what stands before it."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
