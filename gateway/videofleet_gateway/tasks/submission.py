"""From a request to a task."""

from videofleet_api.redaction import redact_url
from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.jobs.urls import UrlError
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.request import ProcessRequest
from videofleet_gateway.tasks.tasks import Task, Tasks
from videofleet_gateway.tasks.translation import job_spec
from videofleet_kube.resources import Json


class Submission:
    """Makes tasks."""

    def __init__(self, context: Context, tasks: Tasks) -> None:
        self._context = context
        self._tasks = tasks

    async def submit(self, project: Project, request: ProcessRequest) -> Task:
        """The new task of a request. Raises GatewayError."""
        url = request.video.url
        if request.video.type == "video_base64" or url is None:
            raise GatewayError(Failure.NOT_IMPLEMENTED, "video_base64 is not taken here; give a video_url")
        try:
            address = self._context.urls.source(url)
        except UrlError as error:
            raise invalid("input.0.url", f"input.0.url: {error}") from error
        if address.credentials is not None or address.secret:
            raise invalid("input.0.url", "input.0.url: addresses that hold credentials are not taken here")
        spec = job_spec(request, {"url": url}, sorted(self._context.pools.models()))
        return await self._tasks.create(project, spec, echo(request))


def echo(request: ProcessRequest) -> Json:
    """The request as it is shown later: without credentials, and without a video in it."""
    shown = request.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    video = shown["input"][0]
    if "url" in video:
        video["url"] = redact_url(video["url"])
    video.pop("data", None)
    return shown
