"""The wire format of a watch: JSON lines in chunks of any size, each an event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

import orjson

from .errors import ApiError, Unavailable, error_from_status
from .resources import Json, version_of

INITIAL_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that closes the initial events of a streaming list."""


class EventType(StrEnum):
    """What a line of a watch says happened; an ERROR line is raised, never returned."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. A bookmark's object has a resourceVersion and little else."""

    type: EventType
    object: Json

    @property
    def version(self) -> str:
        """The resourceVersion to go on from after this event."""
        return version_of(self.object)

    @property
    def ends_initial(self) -> bool:
        """Whether everything that existed has been sent."""
        annotations = self.object["metadata"].get("annotations") or {}
        return self.type is EventType.BOOKMARK and annotations.get(INITIAL_END) == "true"


def parse_event(line: bytes) -> WatchEvent:
    """One event of a line; an ERROR event is raised as its ApiError, a malformed line as Unavailable."""
    try:
        event = orjson.loads(line)
        obj = event["object"]
        if event["type"] == "ERROR":
            raise error_from_status(obj, int(obj.get("code") or 500))
        kind = EventType(event["type"])
        if not isinstance(obj["metadata"], dict):
            raise TypeError("metadata is no object")
        return WatchEvent(kind, obj)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"malformed watch event of {len(line)} bytes: {error}", reason="Malformed") from error


class LineSplitter:
    """Cuts chunks into whole lines; what remains of a stream that was cut in a line is never handed out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without empty ones."""
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            # Joining only when a line is complete keeps one large object linear in its size.
            self._parts.append(chunk)
            return []
        lines = [b"".join((*self._parts, head)), *rest.split(b"\n")]
        tail = lines.pop()
        self._parts = [tail] if tail else []
        return [line for line in lines if line]


async def batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[WatchEvent]]:
    """The events of each chunk; empty batches too, for they prove that the connection lives.

    Events before a bad line of the same chunk are handed out before it raises.
    """
    splitter = LineSplitter()
    async for chunk in chunks:
        events: list[WatchEvent] = []
        failure: ApiError | None = None
        for line in splitter.feed(chunk):
            try:
                events.append(parse_event(line))
            except ApiError as error:
                failure = error
                break
        yield events
        if failure is not None:
            raise failure
