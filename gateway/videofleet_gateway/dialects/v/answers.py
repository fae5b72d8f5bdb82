"""What V answers. Pure."""

from datetime import datetime
from typing import Any

from videofleet_api.redaction import redact_text, redact_url
from videofleet_api.videojob import VideoJobSpec
from videofleet_gateway.jobs.job import read_time, write_time
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.results.archive import LogState
from videofleet_gateway.tasks.tasks import CANCELLED, Task
from videofleet_kube.resources import Json


def created(new: Task) -> Json:
    """Of a task that was made just now."""
    return {"id": new.id, "status": TaskStatus.PENDING, "stream_url": _stream_url(new)}


def task(one: Task, status: TaskStatus, state: LogState | None = None) -> Json:
    """A task; of one that failed also why."""
    body: Json = {
        "id": one.id,
        "status": status,
        "stream_url": _stream_url(one),
        "created_at": write_time(one.created),
        "updated_at": write_time(_updated(one)),
    }
    if status is TaskStatus.FAILED:
        body["error"] = _error(one, state)
    return body


def results(one: Task, summary: Json) -> Json:
    """The summary of a run under the task's own id."""
    return summary | {"id": one.id, "model": one.model or summary.get("model") or ""}


def request(one: Task) -> Json:
    """The request that a task was made from, or one that would make it."""
    if one.request is not None:
        return one.request
    assert one.job.spec is not None
    return _request_of(one.job.spec)


def _stream_url(one: Task) -> str:
    return f"/v1/video/tasks/{one.id}/stream"


def _updated(one: Task) -> datetime:
    status = one.job.status
    # A task that no worker ever had is over with its cancellation, before the operator has said anything of it.
    times = [read_time(each) for each in (status.since, status.completion_time) if each]
    return max([one.created, *times, *_cancelled(one)])


def _cancelled(one: Task) -> list[datetime]:
    """When it was cancelled. Whoever annotates it by hand has cancelled it with any word, at no time of its own."""
    try:
        return [read_time(one.job.annotations[CANCELLED])]
    except (KeyError, ValueError, OverflowError):
        return []


def _error(one: Task, state: LogState | None) -> Json:
    """What the log says, else what the job says: the log is of this task alone."""
    written = state.ending.error if state is not None and state.ending is not None else None
    if written is not None:
        return {"code": written[0], "message": redact_text(written[1])}
    status = one.job.status
    if status.last_error is not None:
        return {"code": status.last_error.code, "message": redact_text(status.last_error.message)}
    return {"code": status.reason or "UNKNOWN", "message": redact_text(status.message or "the task failed")}


def _request_of(spec: VideoJobSpec) -> Json:
    video: Json = {"type": "video_url"}
    if spec.source.url is not None:
        video["url"] = redact_url(spec.source.url)
    video["sampling"] = {"mode": spec.sampling.mode} | (
        {"value": spec.sampling.value} if spec.sampling.value is not None else {}
    )
    if spec.range is not None:
        video["range"] = spec.range.model_dump(mode="json", exclude_none=True)
    if spec.max_frames is not None:
        video["max_frames"] = spec.max_frames
    steps: list[dict[str, Any]] = [step.model_dump(mode="json", exclude_none=True) for step in spec.analytics[0].steps]
    return {"input": [video], "steps": steps}
