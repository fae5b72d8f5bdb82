"""The stream of a task: the bytes of its log from an offset on."""

from collections import Counter
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.results.feed import Feed
from videofleet_gateway.results.sse import HEADERS, Listener, LogResponse
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
        # At the end of a log that is over: what tells an EventSource that it need not come again.
        answer = Response(status_code=204)
        async with AsyncExitStack() as held:
            held.enter_context(self._seat(project))
            feed = await held.enter_async_context(self._context.archive.feed(task.prefix))
            start = _start(task, feed, offset)
            if start is not None and request.scope.get(HEAD):
                answer = Response(headers=HEADERS)
            elif start is not None:
                sent = self._context.metrics.sent_bytes.labels(DIALECT).inc
                answer = LogResponse(Listener(feed, start, sent, held.pop_all()), heartbeat)
        return answer

    @contextmanager
    def _seat(self, project: Project) -> Generator[None, None, None]:
        """One of the streams that may be open."""
        limit = self._context.config.v_open_streams
        if self._open[project.id] >= limit:
            raise GatewayError(Failure.RATE_LIMITED, f"there are {limit} open streams of this project", retry_after=5)
        if self._open.total() >= self._context.config.max_streams:
            raise GatewayError(Failure.UNAVAILABLE, "there are too many open streams here now", retry_after=1)
        self._open[project.id] += 1
        try:
            with self._context.metrics.open_streams.labels(DIALECT).track_inprogress():
                yield
        finally:
            self._open[project.id] -= 1


def _start(task: Task, feed: Feed, offset: int | None) -> int | None:
    """Where to begin; None at the very end. Without an offset at the oldest that is kept. Raises GatewayError."""
    if not feed.end and task.standing.over and task.standing.begun:
        raise GatewayError(Failure.GONE, "the results of this task are kept no longer")
    if offset is None:
        return feed.start
    if offset < feed.start:
        raise GatewayError(Failure.GONE, f"the results before offset {feed.start} are kept no longer; go on from there")
    # Who is ahead of a log that goes on waits for it to come so far.
    if feed.ending is None or offset < feed.end:
        return offset
    if offset == feed.end:
        return None
    raise GatewayError(Failure.OUT_OF_RANGE, f"offset {offset} is behind the end of the stream at {feed.end}")


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
