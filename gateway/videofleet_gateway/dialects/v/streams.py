"""The stream of a task: the bytes of its log from an offset on."""

from collections import Counter
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from videofleet_archive.errors import BelowHorizonError
from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.results.archive import LogState
from videofleet_gateway.results.sse import HEADERS, Listener, LogResponse, Parts
from videofleet_gateway.serving.door import HEAD
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.tasks import DIALECT, Task, Tasks

_MOST_DIGITS: Final = 18
_HEARTBEATS: Final = (1.0, 3600.0)


class Streams:
    """Open streams, counted by project."""

    def __init__(self, context: Context, tasks: Tasks) -> None:
        self._context = context
        self._tasks = tasks
        self._open: Counter[str] = Counter()

    async def open(self, project: Project, task: Task, request: Request) -> Response:
        """The answer to a request for a task's stream. Raises GatewayError."""
        offset, heartbeat = _offset(request), _heartbeat(request)
        state = await self._context.archive.state(task.prefix)
        if await self._tasks.are_gone(task):
            raise GatewayError(Failure.GONE, "the results of this task are kept no longer")
        start = await self._start(task, state, offset)
        if start is None:
            # The end of a log that is over: what tells an EventSource that it need not come again.
            return Response(status_code=204)
        if request.scope.get(HEAD):
            return Response(headers=HEADERS)
        return LogResponse(self._parts(task, start), self._listener(project), heartbeat)

    async def _start(self, task: Task, state: LogState, offset: int | None) -> int | None:
        """Where to begin; None at the very end. Without an offset at the oldest that is kept."""
        if not state.begun:
            return offset or 0
        async with self._context.archive.log(task.prefix) as log:
            if offset is None:
                return log.start
            if offset < log.start:
                raise GatewayError(
                    Failure.GONE, f"the results before offset {log.start} are kept no longer; go on from there"
                )
            if log.ending is None or offset < log.end:
                return offset
            if offset == log.end:
                return None
            end = log.end
        raise GatewayError(Failure.OUT_OF_RANGE, f"offset {offset} is behind the end of the stream at {end}")

    async def _parts(self, task: Task, start: int) -> Parts:
        async with self._context.archive.log(task.prefix) as log:
            at = min(start, log.end)
            try:
                async for part in log.read(at):
                    # Who is ahead of a log that goes on waits for it to come so far.
                    wanted = part[max(0, start - at) :]
                    at += len(part)
                    if wanted:
                        yield wanted
            except BelowHorizonError:
                # A slow reader whom the horizon has passed: it finds out which offset is the oldest when it returns.
                return

    def _listener(self, project: Project) -> Listener:
        limit = self._context.config.v_open_streams
        if self._open[project.id] >= limit:
            raise GatewayError(Failure.RATE_LIMITED, f"there are {limit} open streams of this project", retry_after=5)
        self._open[project.id] += 1
        gauge = self._context.metrics.open_streams.labels(DIALECT)
        gauge.inc()

        def left() -> None:
            self._open[project.id] -= 1
            gauge.dec()

        return Listener(self._context.metrics.sent_bytes.labels(DIALECT).inc, left)


def _offset(request: Request) -> int | None:
    """Last-Event-ID wins: a browser keeps the address, with its old offset, when it connects again."""
    header, query = request.headers.get("last-event-id", ""), request.query_params.get("offset")
    name, given = ("Last-Event-ID", header) if header else ("offset", query)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS):
        raise invalid(name, f"{name} must be a number of bytes, got {given[:64]!r}")
    return int(given)


def _heartbeat(request: Request) -> float | None:
    given = request.query_params.get("heartbeat")
    if given is None:
        return None
    low, high = _HEARTBEATS
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not low <= seconds <= high:
        raise invalid("heartbeat", f"heartbeat must be from {low:g} to {high:g} seconds, got {given[:64]!r}")
    return seconds
