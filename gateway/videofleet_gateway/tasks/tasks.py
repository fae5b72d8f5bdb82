"""Tasks of V: the VideoJobs that run once and have one log."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import orjson

from videofleet_api.names import GROUP, archive_prefix
from videofleet_gateway.errors import GatewayError, invalid, not_found
from videofleet_gateway.jobs.job import Job, write_time
from videofleet_gateway.jobs.service import Jobs
from videofleet_gateway.phases import Standing, TaskStatus, task_status
from videofleet_gateway.results.archive import Archive, LogState
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.ulids import TASK_ID, new_task_id, task_id_of_foreign, time_of
from videofleet_kube.resources import Json

DIALECT: Final = "v"
_AT_ONCE: Final = 32
"""Logs that are looked at together for a list."""
_LISTED_AGE: Final = 1.0
"""Seconds: a list is not asked for by those who wait for one task."""
REQUEST: Final = f"{GROUP}/v-request"
"""Annotation: the request that a job was made from, without credentials and without a video in it."""
CANCELLED: Final = f"{GROUP}/v-cancelled"
"""Annotation: when the task was cancelled. Its log is closed, whatever its job does later."""


@dataclass(frozen=True)
class Task:
    """A job as V sees it."""

    id: str
    job: Job

    @cached_property
    def created(self) -> datetime:
        """To the millisecond, as the id has it."""
        return time_of(self.id)

    @property
    def prefix(self) -> str:
        """Where its results lie. A job that was never given to a worker will begin with run 1."""
        spec, status = self.job.spec, self.job.status
        assert spec is not None
        return archive_prefix(self.job.namespace, self.job.uid, max(1, status.run), spec.analytics[0].name)

    @property
    def standing(self) -> Standing:
        """What its status follows from."""
        spec = self.job.spec
        assert spec is not None
        return Standing.of(spec, self.job.known_status)

    @cached_property
    def request(self) -> Json | None:
        """The request that it was made from; None of one that was made elsewhere."""
        written = self.job.annotations.get(REQUEST)
        try:
            found = orjson.loads(written) if written else None
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def is_own(self) -> bool:
        """Whether it was made through V."""
        return self.job.id_in(DIALECT) == self.id

    @property
    def model(self) -> str | None:
        """The hint of the request."""
        hint = (self.request or {}).get("model")
        return hint if isinstance(hint, str) else None


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first, and where the next page begins."""

    tasks: list[tuple[Task, TaskStatus]]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Of a list; `since` is in it, `until` is not."""

    status: TaskStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    """Only tasks with lower ids."""

    def admit(self, task: Task) -> bool:
        """Whether it is one of them by its times."""
        return (
            (self.since is None or task.created >= self.since)
            and (self.until is None or task.created < self.until)
            and (self.before is None or task.id < self.before)
        )


class Tasks:
    """The tasks of projects."""

    def __init__(self, jobs: Jobs, archive: Archive, clock: Callable[[], float]) -> None:
        self._jobs = jobs
        self._archive = archive
        self._clock = clock

    async def find(self, project: Project, task_id: str) -> Task:
        """The project's task of this id. Raises GatewayError, NOT_FOUND for another project's as well."""
        if TASK_ID.fullmatch(task_id):
            job = await self._jobs.find_by_id(DIALECT, project.namespace, task_id)
            if job is not None and _is_task(job):
                return Task(task_id, job)
            for task in self._all(project):
                if task.id == task_id:
                    return task
        raise not_found(f"there is no task {task_id[:64]!r}")

    async def status(self, task: Task) -> TaskStatus:
        """What became of it so far."""
        return status_of(task, await self.log_state(task))

    async def log_state(self, task: Task, age: float = 0.0) -> LogState:
        """Whether it has results, and whether they are complete; or how it was at most `age` seconds ago."""
        if task.job.status.run == 0 and CANCELLED not in task.job.annotations:
            return LogState()
        return await self._archive.state(task.prefix, age)

    async def are_gone(self, task: Task) -> bool:
        """Whether it had results, which are kept no longer."""
        standing = task.standing
        return standing.over and standing.begun and not await self._archive.has_log(task.prefix)

    async def page(self, project: Project, filters: Filters, limit: int) -> Page:
        """The newest tasks that pass the filters."""
        chosen = sorted((task for task in self._all(project) if filters.admit(task)), key=lambda one: one.id)
        chosen.reverse()
        found: list[tuple[Task, TaskStatus]] = []
        size = limit if filters.status is None else _AT_ONCE
        for start in range(0, len(chosen), size):
            some = chosen[start : start + size]
            states = await asyncio.gather(*(self.log_state(task, _LISTED_AGE) for task in some))
            told = ((task, status_of(task, state)) for task, state in zip(some, states, strict=True))
            found += [each for each in told if filters.status in (None, each[1])]
            if len(found) >= limit and (len(found) > limit or start + size < len(chosen)):
                return Page(found[:limit], write_cursor(found[limit - 1][0].id))
        return Page(found, None)

    def new_id(self) -> str:
        """Of a task that is to be made."""
        return new_task_id(self._clock(), secrets.token_bytes)

    async def create(self, project: Project, task_id: str, spec: Json, request: Json) -> Task:
        """A new task."""
        annotations = {REQUEST: orjson.dumps(request).decode()}
        return Task(task_id, await self._jobs.create(DIALECT, project.namespace, task_id, spec, annotations))

    async def cancel(self, task: Task) -> Task:
        """Have its job stopped, and its log closed once it is."""
        now = write_time(datetime.fromtimestamp(self._clock(), UTC))
        job = await self._jobs.change(task.job, spec={"enabled": False}, annotations={CANCELLED: now})
        return Task(task.id, job)

    def _all(self, project: Project) -> list[Task]:
        found = (task_of(job) for job in self._jobs.cache.in_namespace(project.namespace))
        return [task for task in found if task is not None]


def status_of(task: Task, state: LogState) -> TaskStatus:
    """What became of a task whose log is so far."""
    found = task_status(task.standing, state.ending.reason if state.ending else None, open_log=state.is_open)
    # Between two passes there is no word in V: what it was made for goes on.
    return found or TaskStatus.RUNNING


def task_of(job: Job) -> Task | None:
    """The job as V sees it; None of one that it has no words for."""
    return Task(_id_of(job), job) if _is_task(job) else None


def _is_task(job: Job) -> bool:
    """Whether V can express it: one pass, one log."""
    return job.spec is not None and job.spec.single_pass and len(job.spec.analytics) == 1 and not job.deleting


def _id_of(job: Job) -> str:
    own = job.id_in(DIALECT)
    return own if own is not None and TASK_ID.fullmatch(own) else task_id_of_foreign(job.created, job.uid)


def write_cursor(task_id: str) -> str:
    """What a client gives back for the page behind this task."""
    return base64.urlsafe_b64encode(task_id.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """The task that a page begins behind. Raises GatewayError."""
    try:
        task_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        task_id = ""
    if not TASK_ID.fullmatch(task_id):
        raise _bad_cursor()
    return task_id


def _bad_cursor() -> GatewayError:
    return invalid("cursor", "cursor must be the next_cursor of another page")
