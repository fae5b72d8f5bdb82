"""From a request to a task."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from videofleet_api.redaction import redact_url
from videofleet_api.source import LIVE_SCHEMES
from videofleet_gateway.context import Context
from videofleet_gateway.errors import GatewayError, invalid
from videofleet_gateway.jobs.naming import job_name
from videofleet_gateway.jobs.secrets import SOURCE, secret_name, source_secret, source_with
from videofleet_gateway.jobs.urls import Address, UrlError
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.request import ProcessRequest
from videofleet_gateway.tasks.staging import StagedVideo, Staging
from videofleet_gateway.tasks.tasks import DIALECT, Task, Tasks
from videofleet_gateway.tasks.translation import job_spec
from videofleet_kube.resources import Json


class Submission:
    """Makes tasks."""

    def __init__(self, context: Context, tasks: Tasks, staging: Staging) -> None:
        self._context = context
        self._tasks = tasks
        self._staging = staging

    @asynccontextmanager
    async def video(self) -> AsyncGenerator[StagedVideo, None]:
        """For a video that comes with a request, of which nothing stays where no task is made."""
        video = self._staging.begin(self._tasks.new_id())
        try:
            yield video
        except BaseException:
            await asyncio.shield(video.discard())
            raise

    async def submit(self, project: Project, request: ProcessRequest, video: StagedVideo) -> Task:
        """The new task of a request whose video has come, where one comes with it. Raises GatewayError."""
        task_id = video.task_id
        posted, address = await self._address(video, request)
        kept = source_secret(posted, address)
        secret = secret_name(job_name(DIALECT, task_id), SOURCE) if kept is not None else ""
        task = await self._tasks.create(project, task_id, self._spec(request, address, secret), echo(request))
        if kept is not None:
            await self._keep(task, secret, kept)
        return task

    def _spec(self, request: ProcessRequest, address: Address, secret: str) -> Json:
        live = address.url.partition("://")[0] in LIVE_SCHEMES
        source = source_with({}, address, secret or None)
        return job_spec(request, source, sorted(self._context.pools.models()), live=live)

    async def _address(self, video: StagedVideo, request: ProcessRequest) -> tuple[str, Address]:
        """Where the video is, as it was posted and taken apart."""
        if request.video.type == "video_base64":
            # What is wrong with the rest is told before all of it is stored.
            self._spec(request, Address("https://staged", None, secret=True), "")
            url = await self._staging.keep(video)
            return url, Address(url, None, secret=True)
        url = request.video.url or ""
        try:
            return url, self._context.urls.source(url)
        except UrlError as error:
            raise invalid("input.0.url", f"input.0.url: {error}") from error

    async def _keep(self, task: Task, name: str, data: dict[str, str]) -> None:
        """The Secret that the job waits for; without it there is to be no job."""
        try:
            await self._context.secrets.make(task.job, name, data)
        except GatewayError:
            await self._context.jobs.delete(task.job)
            raise


def echo(request: ProcessRequest) -> Json:
    """The request as it is shown later: without credentials, and without a video in it."""
    shown = request.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    video = shown["input"][0]
    if request.video.type == "video_base64":
        video.pop("url", None)
    elif "url" in video:
        video["url"] = redact_url(video["url"])
    video.pop("data", None)
    return shown
