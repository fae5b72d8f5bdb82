"""The event stream of a worker: an inventory first, then what changes, and a heartbeat."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from videofleet_api.protocol import HEARTBEAT_SECONDS, Delivered, Finalized, Heartbeat, Inventory, JobEvent, JobReport
from videofleet_worker.jobs.assignments import Assignments

_KEPT_EVENTS: Final = 1024
"""Who missed more gets an inventory, which is shorter."""


class EventHub:
    """Numbers the events of this process and keeps the latest ones for those who come back."""

    def __init__(
        self,
        assignments: Callable[[], Assignments],
        reports: Callable[[], Sequence[JobReport]],
        *,
        finalized: Callable[[], Mapping[str, Delivered | None]] = dict,
        wall_clock: Callable[[], float] = time.time,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        kept_events: int = _KEPT_EVENTS,
    ) -> None:
        self._assignments = assignments
        self._reports = reports
        self._finalized = finalized
        self._wall_clock = wall_clock
        self._heartbeat_seconds = heartbeat_seconds
        # As they are sent: the documents would take five times the memory.
        self._events: deque[bytes] = deque(maxlen=kept_events)
        self._sequence = 0
        self._changed = asyncio.Event()
        self._readers = 0
        self._operators = 0

    @property
    def readers(self) -> int:
        """How many listen now."""
        return self._readers

    @property
    def operators(self) -> int:
        """How many of them can start a job again."""
        return self._operators

    @property
    def sequence(self) -> int:
        """Number of the last event."""
        return self._sequence

    def publish(self, report: JobReport) -> None:
        """A job changed: its report as it is now."""
        self._sequence += 1
        self._tell(JobEvent(sequence=self._sequence, time=self._wall_clock(), report=report))

    def publish_finalized(self, key: str, delivered: Delivered | None) -> None:
        """The `Finalize` of this key is done."""
        self._sequence += 1
        self._tell(Finalized(sequence=self._sequence, time=self._wall_clock(), key=key, delivered=delivered))

    def _tell(self, event: JobEvent | Finalized) -> None:
        self._events.append(_line(event))
        self._changed.set()
        self._changed = asyncio.Event()

    async def lines(
        self, after: tuple[str, int] | None = None, *, operator: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """NDJSON lines without end. `after` is the instance and the sequence that the reader saw last.

        `operator`: whether the reader is one, and not somebody who may only look.
        """
        self._readers += 1
        self._operators += operator
        try:
            async with aclosing(self._lines(self._resumable(after))) as lines:
                async for line in lines:
                    yield line
        finally:
            self._readers -= 1
            self._operators -= operator

    async def _lines(self, cursor: int | None) -> AsyncGenerator[bytes, None]:
        next_beat = 0.0
        while True:
            changed = self._changed
            if cursor is None or cursor < self._oldest() - 1:
                # A gap, or a reader that knows nothing: everything as it is now.
                cursor = self._sequence
                yield _line(self._inventory())
            missed, cursor = self._since(cursor), self._sequence
            for line in missed:
                yield line
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + self._heartbeat_seconds
                yield _line(Heartbeat(sequence=cursor, time=self._wall_clock()))
            await _wait(changed, next_beat - time.monotonic())

    def _resumable(self, after: tuple[str, int] | None) -> int | None:
        if after is None or after[0] != self._assignments().instance:
            return None
        return after[1] if after[1] <= self._sequence else None

    def _since(self, cursor: int) -> list[bytes]:
        known = len(self._events) - (self._sequence - cursor)
        return list(itertools.islice(self._events, max(0, known), None))

    def _oldest(self) -> int:
        return self._sequence + 1 - len(self._events)

    def _inventory(self) -> Inventory:
        now = self._assignments()
        return Inventory(
            instance=now.instance,
            sequence=self._sequence,
            term=now.term,
            number=now.number,
            reports=list(self._reports()),
            served=now.served,
            finalized=dict(self._finalized()),
        )


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await changed.wait()
    except TimeoutError:
        return


def _line(document: Inventory | JobEvent | Finalized | Heartbeat) -> bytes:
    return document.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
