"""The application of V: its routes."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import FastAPI, Query, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Scope

from videofleet_api.vision import LARGEST_PICTURE
from videofleet_gateway import auth
from videofleet_gateway.config import Config
from videofleet_gateway.context import Context
from videofleet_gateway.dialects.v import answers, asyncapi, openapi
from videofleet_gateway.dialects.v.admission import Admission
from videofleet_gateway.dialects.v.errors import render
from videofleet_gateway.dialects.v.listing import filters
from videofleet_gateway.dialects.v.streams import Streams
from videofleet_gateway.dialects.v.tokens import Tokens
from videofleet_gateway.dialects.v.vision import BELOW, VisionRoutes
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.jobs.job import write_time
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.serving.applications import application
from videofleet_gateway.serving.asyncapi import serve
from videofleet_gateway.serving.bodies import check_json_type
from videofleet_gateway.serving.cors import Cors
from videofleet_gateway.serving.door import REQUEST_ID, Crowd, Door
from videofleet_gateway.serving.openapi import describe
from videofleet_gateway.serving.packing import Packing
from videofleet_gateway.serving.uploads import Upload
from videofleet_gateway.sessions import COOKIE, Sessions
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.request import read
from videofleet_gateway.tasks.staging import PATH, Staging
from videofleet_gateway.tasks.submission import Submission
from videofleet_gateway.tasks.tasks import DIALECT, Tasks, status_of

CORS: Final = Cors("authorization, content-type, last-event-id, x-request-id", f"Retry-After, {REQUEST_ID}")
_PROCESS: Final = "/v1/video/process"
_TASKS: Final = "/v1/video/tasks"
_DEFAULT_PAGE, _LARGEST_PAGE = 20, 100


def create_app(context: Context, crowd: Crowd) -> ASGIApp:
    """V with everything before it."""
    app = application("Video API", "Video tasks with streamed results.", "1", render, "/v1/openapi.json")
    Routes(context).add(app)
    config = context.config
    return Door(Packing(app), DIALECT, render, config, context.metrics, crowd, CORS, partial(_body_limit, config))


def _body_limit(config: Config, scope: Scope) -> int:
    """Four characters of base64 are three bytes."""
    if scope["path"] == _PROCESS:
        return config.max_body_bytes + config.max_upload_bytes * 4 // 3
    if scope["path"].startswith(BELOW):
        return config.max_body_bytes + LARGEST_PICTURE * 4 // 3
    return config.max_body_bytes


class Routes:
    """One method a route."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._admission = Admission(context)
        self._vision = VisionRoutes(context, self._admission)
        self._tasks = Tasks(context.jobs, context.archive, context.clock)
        self._streams = Streams(context, self._tasks)
        self._tokens = Tokens(context.keys, context.clock)
        self._sessions = Sessions(context.keys, context.clock)
        self._staging = Staging(context)
        self._submission = Submission(context, self._tasks, self._staging)

    def add(self, app: FastAPI) -> None:
        """To the application."""
        task = f"{_TASKS}/{{task_id}}"
        app.post(_PROCESS, status_code=202, openapi_extra=openapi.PROCESS)(self.process)
        app.get(_TASKS, openapi_extra=openapi.TASKS)(self.listing)
        app.get(task, openapi_extra=openapi.TASK)(self.task)
        app.get(f"{task}/stream", response_class=Response, openapi_extra=openapi.STREAM)(self.stream)
        app.post(f"{task}/token", openapi_extra=openapi.TOKEN)(self.token)
        app.get(f"{task}/results", openapi_extra=openapi.RESULTS)(self.results)
        app.post(f"{task}/cancel", status_code=202, openapi_extra=openapi.CANCEL)(self.cancel)
        app.get(f"{PATH}/{{task_id}}", include_in_schema=False)(self.staged)
        self._vision.add(app)
        describe(app, openapi.description())
        serve(app, asyncapi.PATH, asyncapi.DOCUMENT)

    async def process(self, request: Request) -> Response:
        """Enqueue a task."""
        project = await self._admission.writer(request)
        check_json_type(request)
        async with self._submission.video() as video:
            upload = Upload(video.take, "input.0.data")
            wanted = read(await upload.object_from(request.stream(), self._context.config.max_body_bytes))
            if wanted.video.type == "video_base64":
                await upload.given(wanted.video.data or wanted.video.url or "")
            task = await self._submission.submit(project, wanted, video)
        return JSONResponse(answers.created(task), status_code=202)

    async def listing(
        self,
        request: Request,
        status: Annotated[str | None, Query()] = None,
        since: Annotated[str | None, Query(alias="from")] = None,
        to: Annotated[str | None, Query()] = None,
        cursor: Annotated[str | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = _DEFAULT_PAGE,
    ) -> Response:
        """The project's tasks, newest first."""
        project = await self._admission.counted(request)
        page = await self._tasks.page(project, filters(status, since, to, cursor), limit)
        return JSONResponse({"data": [answers.task(*each) for each in page.tasks], "next_cursor": page.cursor})

    async def task(
        self, request: Request, task_id: str, include: Annotated[Literal["request"] | None, Query()] = None
    ) -> Response:
        """One task."""
        project = await self._admission.counted(request)
        task = await self._tasks.find(project, task_id)
        state = await self._tasks.log_state(task)
        body = answers.task(task, status_of(task, state), state)
        return JSONResponse(body | ({"request": answers.request(task)} if include else {}))

    async def stream(self, request: Request, task_id: str) -> Response:
        """The results so far, then those to come."""
        project = await self._viewer(request, task_id)
        return await self._streams.open(project, await self._tasks.find(project, task_id), request)

    async def token(self, request: Request, task_id: str) -> Response:
        """What stands for the key in the address of this task's stream, for an hour."""
        project = await self._admission.counted(request)
        task = await self._tasks.find(project, task_id)
        token, expires = await self._tokens.issue(project, task.id)
        expires_at = write_time(datetime.fromtimestamp(expires, UTC))
        return JSONResponse({"access_token": token, "expires_at": expires_at})

    async def results(self, request: Request, task_id: str) -> Response:
        """The summary of a task that has succeeded."""
        project = await self._admission.counted(request)
        task = await self._tasks.find(project, task_id)
        status = await self._tasks.status(task)
        if status is not TaskStatus.SUCCEEDED:
            raise GatewayError(Failure.NOT_READY, f"there are results once the task has succeeded; it is {status}")
        if await self._tasks.are_gone(task):
            raise GatewayError(Failure.GONE, "the results of this task are kept no longer")
        return JSONResponse(answers.results(task, await self._context.archive.summary(task.prefix)))

    async def cancel(self, request: Request, task_id: str) -> Response:
        """Have a task stopped."""
        project = await self._admission.writer(request)
        task = await self._tasks.find(project, task_id)
        status = await self._tasks.status(task)
        if status in (TaskStatus.SUCCEEDED, TaskStatus.FAILED):
            raise GatewayError(Failure.CONFLICT, f"the task is over: it has {status}")
        if status not in (TaskStatus.CANCELLING, TaskStatus.CANCELLED):
            status = await self._tasks.status(await self._tasks.cancel(task))
        return JSONResponse({"id": task.id, "status": status}, status_code=202)

    async def staged(self, request: Request, task_id: str) -> Response:
        """A video that came in a request, for the worker that has its address."""
        return await self._staging.answer(task_id, request)

    async def _viewer(self, request: Request, task_id: str) -> Project:
        """Who looks on: by a key, or as a browser does, by a token in the address or by the cookie of the page.

        The cookie is good for no change.
        """
        if auth.bearer(request.headers) is None:
            token = request.query_params.get("access_token")
            if token is not None:
                return await self._tokens.project_of(token, task_id)
            signed_in = await self._sessions.project_of(request.cookies.get(COOKIE))
            if signed_in is not None:
                return signed_in
        return await self._admission.project(request)
