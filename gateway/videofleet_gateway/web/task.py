"""The page of one task: what became of it, and its results while they come."""

import asyncio
from typing import Any, Final

from nicegui import Client
from starlette.requests import Request
from starlette.responses import Response

from videofleet_archive.errors import BelowHorizonError
from videofleet_gateway.context import Context
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.results.archive import LogState
from videofleet_gateway.results.feed import Feed, Tap
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.tasks import Task, Tasks, status_of
from videofleet_gateway.web.elements import Node
from videofleet_gateway.web.frames import Frame, Screen
from videofleet_gateway.web.guard import Visitor
from videofleet_gateway.web.shell import page, while_open
from videofleet_gateway.web.tables import Badge, Facts, Table
from videofleet_gateway.web.tasks import LIST
from videofleet_gateway.web.words import clean, moment, source_of, steps_of

_TOLD_EVERY: Final = 0.25
"""Seconds: what comes in between is shown together."""
_BACK: Final = 256 * 1024
"""Bytes before the end of a log from which on it is read: its last frames are among them."""
_MOST_OBJECTS: Final = 200
_OVER: Final = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


async def show(request: Request, context: Context, tasks: Tasks, task_id: str) -> Response:
    """One task of the project."""
    task = await tasks.find(request.state.project, task_id)
    return await page(request, "Video task", LIST, _View(context, tasks, request, task).build)


class _View:
    def __init__(self, context: Context, tasks: Tasks, request: Request, task: Task) -> None:
        self._archive = context.archive
        self._tasks = tasks
        self._project: Project = request.state.project
        self._visitor: Visitor = request.state.visitor
        self._task = task
        self._screen = Screen()
        self._has_objects = False

    async def build(self, client: Client) -> None:
        """Everything below the heading."""
        Node("p", self._task.id, classes="id")
        with Node("p", role="status"):
            Node("span", "Status: ")
            self._status = Badge()
        self._facts = Facts("Video", "Steps", "Made", "Frames analysed", "Error")
        with Node("form", method="post", action=f"{LIST}/{self._task.id}/cancel") as self._cancel:
            Node("button", "Cancel this task")
        Node("h2", "Results as they come")
        self._frames = Table("Results as they come", "Frame", "Second", "Objects")
        Node("a", "All of them, as server-sent events", href=f"/v1/video/tasks/{self._task.id}/stream")
        with Node("section", aria_label="Objects") as self._section:
            Node("h2", "Objects")
            self._objects = Table(
                "List of objects", "Track", "Class", "First frame", "Last frame", "Frames", "Best confidence", "Text"
            )
        await self._tell()
        while_open(client, self._visitor, self._follow)

    async def _follow(self) -> None:
        self._screen = Screen()
        reading = asyncio.create_task(self._read())
        try:
            while not (await self._tell() in _OVER and reading.done()):
                await asyncio.sleep(_TOLD_EVERY)
                if reading.done():
                    reading.result()
        finally:
            reading.cancel()

    async def _read(self) -> None:
        async with self._archive.feed(self._task.prefix) as feed:
            # The middle of an event is no harm: what is no whole line of data is passed over.
            tap = feed.tap(max(feed.start, feed.end - _BACK), None, chunked=False, sent=lambda _size: None)
            while not feed.stopped:
                if tap.offset < feed.tip:
                    tap.offset += self._screen.feed(await _part(feed, tap))
                elif feed.over:
                    break
                else:
                    await tap.wait()

    async def _tell(self) -> TaskStatus:
        self._task = task = await self._tasks.find(self._project, self._task.id)
        state = await self._tasks.log_state(task)
        status = status_of(task, state)
        self._status.show(status)
        self._facts.fill(
            source_of(task.job),
            steps_of(task.job),
            moment(task.created),
            str(self._analysed(state)),
            _error(task, state) if status is TaskStatus.FAILED else "-",
        )
        self._cancel.put("hidden", "" if status in (*_OVER, TaskStatus.CANCELLING) else None)
        self._frames.fill([_line(frame) for frame in reversed(self._screen.frames)])
        await self._tell_objects(status)
        return status

    def _analysed(self, state: LogState) -> int:
        if state.ending is not None:
            return state.ending.usage.processed_frames
        statistics = self._task.job.status.statistics
        return max(self._screen.analysed, statistics.processed_frames if statistics else 0)

    async def _tell_objects(self, status: TaskStatus) -> None:
        is_there = status is TaskStatus.SUCCEEDED
        self._section.put("hidden", None if is_there else "")
        if is_there and not self._has_objects:
            summary = await self._archive.summary(self._task.prefix)
            self._objects.fill([_object(track) for track in summary["tracks"][:_MOST_OBJECTS]])
            self._has_objects = True


async def _part(feed: Feed, tap: Tap) -> bytes:
    """What comes next; what the horizon has passed is left out."""
    while True:
        try:
            return await feed.read(tap.offset)
        except BelowHorizonError as error:
            tap.offset = error.oldest


def _line(frame: Frame) -> tuple[str, ...]:
    return str(frame.index), f"{frame.second:.2f}", frame.objects


def _object(track: dict[str, Any]) -> tuple[str, ...]:
    names = ("track_id", "class", "first_frame", "last_frame", "frames_seen", "best_confidence", "text")
    return tuple(str(track.get(name, "-")) for name in names)


def _error(task: Task, state: LogState) -> str:
    """What the log says, else what the job says: the log is of this task alone."""
    if state.ending is not None and state.ending.error is not None:
        return clean(": ".join(state.ending.error))
    status = task.job.status
    if status.last_error is not None:
        return clean(f"{status.last_error.code}: {status.last_error.message}")
    return clean(f"{status.reason}: {status.message}")
