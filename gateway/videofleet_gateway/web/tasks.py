"""The page of tasks: the newest, as they stand now."""

import asyncio
from typing import Final
from urllib.parse import urlencode

from nicegui import Client
from starlette.requests import Request
from starlette.responses import Response

from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.tasks import Filters, Page, Task, Tasks, read_cursor
from videofleet_gateway.web.elements import Node, Rows
from videofleet_gateway.web.guard import PATH, Visitor
from videofleet_gateway.web.shell import page, while_open
from videofleet_gateway.web.tables import Badge, head, wide
from videofleet_gateway.web.words import moment, source_of, steps_of

LIST: Final = f"{PATH}/tasks"
LENGTH: Final = 20
PAUSE: Final = 1.0
"""Seconds between two looks."""
_HEADINGS: Final = ("Task", "Status", "Video", "Steps", "Made")


async def show(request: Request, tasks: Tasks) -> Response:
    """The project's tasks, newest first; `?cursor=` those behind another page."""
    cursor = request.query_params.get("cursor")
    filters = Filters(before=None if cursor is None else read_cursor(cursor))
    return await page(request, "Video tasks", LIST, _List(tasks, request, filters).build)


class _List:
    def __init__(self, tasks: Tasks, request: Request, filters: Filters) -> None:
        self._tasks = tasks
        self._project: Project = request.state.project
        self._visitor: Visitor = request.state.visitor
        self._filters = filters

    async def build(self, client: Client) -> None:
        """Everything below the heading."""
        Node("a", "Submit a clip", classes="button", href=f"{PATH}/submit")
        self._nothing = Node("p", "There are no tasks here.")
        with Node("div", **wide("Video tasks")), Node("table"):
            head(_HEADINGS)
            self._rows = Rows(Node("tbody"), _Row)
        self._older = Node("a", "Older tasks")
        self._fill(await self._read())
        while_open(client, self._visitor, self._follow)

    async def _read(self) -> Page:
        return await self._tasks.page(self._project, self._filters, LENGTH)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            self._fill(await self._read())

    def _fill(self, found: Page) -> None:
        self._rows.show(task.id for task, _ in found.tasks)
        for task, status in found.tasks:
            self._rows.parts[task.id].fill(task, status)
        self._nothing.put("hidden", "" if found.tasks else None)
        self._older.put("hidden", None if found.cursor else "")
        self._older.put("href", f"{LIST}?{urlencode({'cursor': found.cursor})}" if found.cursor else None)


class _Row(Node):
    def __init__(self, task_id: str) -> None:
        super().__init__("tr")
        with self:
            with Node("th", scope="row"):
                Node("a", task_id, href=f"{LIST}/{task_id}")
            with Node("td"):
                self._status = Badge()
            self._rest = [Node("td") for _ in _HEADINGS[2:]]

    def fill(self, task: Task, status: TaskStatus) -> None:
        """What is known of it now."""
        self._status.show(status)
        for cell, text in zip(self._rest, (source_of(task.job), steps_of(task.job), moment(task.created)), strict=True):
            cell.say(text)
