"""What the proxy does to the events of one watch, as a chain of filters."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import orjson

from tests.faults.proxy.faults import (
    Budget,
    CutLine,
    DropSuperseded,
    DropThenGone,
    Hold,
    Repeat,
    Silence,
)

INITIAL_END = "k8s.io/initial-events-end"
_BOOKMARK_INTERVAL = 1.0
_GONE_AFTER = 1.0
"""Seconds after the first dropped event: an event that is dropped and not followed by a cut could never heal."""


class CutError(Exception):
    """The connection ends here, after these last bytes."""

    def __init__(self, partial: bytes = b"") -> None:
        super().__init__(f"cut after {len(partial)} bytes of a line")
        self.partial = partial


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch. `counted`: it tells of a change, which a bookmark and the initial events do not."""

    line: bytes
    kind: str
    uid: str
    version: str
    api: tuple[str, str]
    counted: bool


Events = AsyncGenerator[Event, None]


async def read_events(lines: AsyncIterator[bytes], initial: bool) -> Events:
    """Parse the lines of a watch; `initial`: it begins with what exists already."""
    async for line in lines:
        document = orjson.loads(line)
        kind, obj = document["type"], document["object"]
        metadata = obj.get("metadata") or {}
        ends = kind == "BOOKMARK" and (metadata.get("annotations") or {}).get(INITIAL_END) == "true"
        yield Event(
            line,
            kind,
            str(metadata.get("uid", "")),
            str(metadata.get("resourceVersion", "")),
            (str(obj.get("apiVersion")), str(obj.get("kind"))),
            counted=not initial and kind in ("ADDED", "MODIFIED", "DELETED"),
        )
        initial = initial and not ends


def disturbed(events: Events, budgets: Sequence[Budget]) -> Events:
    """The events as the operator gets them. Raises CutError where the connection is to end."""
    for budget in budgets:
        match budget.fault:
            case Hold(seconds):
                events = _late(events, budget, seconds, drop=False)
            case DropSuperseded(seconds):
                events = _late(events, budget, seconds, drop=True)
            case Repeat(copies):
                events = _repeat(events, budget, copies)
            case DropThenGone(count):
                events = _drop_then_gone(events, budget, count)
            case CutLine():
                events = _cut_line(events, budget)
            case Silence():
                events = _silent(events, budget, budget.fault)
    return events


async def _repeat(events: Events, budget: Budget, copies: int) -> Events:
    async for event in events:
        yield event
        if event.counted and budget.strikes():
            for _ in range(copies - 1):
                yield event


async def _cut_line(events: Events, budget: Budget) -> Events:
    async for event in events:
        if event.counted and budget.strikes():
            raise CutError(event.line[: len(event.line) // 2])
        yield event


async def _drop_then_gone(events: Events, budget: Budget, count: int) -> Events:
    async with _Timed(events) as timed:
        while (event := await timed.next()) is not None:
            if not (event.counted and budget.strikes()):
                yield event
                continue
            deadline = time.monotonic() + _GONE_AFTER
            for _ in range(count - 1):
                if await timed.next(deadline) is None:
                    break
            yield _gone(event)
            return


async def _silent(events: Events, budget: Budget, fault: Silence) -> Events:
    """From the event that strikes on nothing comes, but bookmarks of what came last."""
    last = ""
    async with _Timed(events) as timed:
        while (event := await timed.next()) is not None:
            if event.counted and budget.strikes():
                until = time.monotonic() + fault.seconds
                while (left := until - time.monotonic()) > 0:
                    await asyncio.sleep(min(left, _BOOKMARK_INTERVAL))
                    if fault.bookmarks and last:
                        yield _bookmark(event, last)
            last = event.version or last
            yield event


async def _late(events: Events, budget: Budget, seconds: float, *, drop: bool) -> Events:
    """Events come later, in order; with `drop` those that a later one of the same object overtakes do not come."""
    waiting: list[tuple[float, Event]] = []
    async with _Timed(events) as timed:
        while True:
            event = await timed.next(waiting[0][0] if waiting else None)
            if event is not None:
                if drop:
                    waiting = [each for each in waiting if each[1].uid != event.uid or not each[1].counted]
                late = event.counted and budget.strikes()
                least = waiting[-1][0] if waiting else 0.0
                waiting.append((max(least, time.monotonic() + (seconds if late else 0.0)), event))
            while waiting and (timed.ended or waiting[0][0] <= time.monotonic()):
                yield waiting.pop(0)[1]
            if timed.ended:
                return


class _Timed:
    """Events of a stream, or None at its end or at a deadline. What the stream raises is raised at its end."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._pump())
        self.ended = False

    async def __aenter__(self) -> _Timed:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def next(self, deadline: float | None = None) -> Event | None:
        """The next event; None when there is none before the deadline, or no more at all."""
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                item = await self._queue.get()
        except TimeoutError:
            return None
        if isinstance(item, BaseException):
            raise item
        self.ended = self.ended or item is None
        return item

    async def _pump(self) -> None:
        end: BaseException | None = None
        try:
            async for event in self._events:
                self._queue.put_nowait(event)
        except (CutError, aiohttp.ClientError, OSError, ValueError) as error:
            end = error
        self._queue.put_nowait(end)


def _gone(event: Event) -> Event:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version (injected)",
        "reason": "Expired",
        "code": 410,
    }
    return _told(event, "ERROR", status)


def _bookmark(event: Event, version: str) -> Event:
    api_version, kind = event.api
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": version}}
    return _told(event, "BOOKMARK", obj, version)


def _told(event: Event, kind: str, obj: object, version: str = "") -> Event:
    return Event(orjson.dumps({"type": kind, "object": obj}), kind, "", version, event.api, counted=False)


def initial_lines(objects: Sequence[dict[str, object]], bookmark: dict[str, object]) -> list[bytes]:
    """The beginning of a streaming list that tells of these objects."""
    added = [orjson.dumps({"type": "ADDED", "object": obj}) for obj in objects]
    return [*added, orjson.dumps({"type": "BOOKMARK", "object": bookmark})]


Snapshot = Callable[[str, int], tuple[str, list[dict[str, object]]] | None]
"""(version, objects) of a kind as they were so many versions ago; None where nothing is known of that time."""
