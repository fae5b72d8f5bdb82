"""The one queue that every write of the operator goes through."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from .errors import TooManyRequests
from .operations import Key, Outcome, Patch, Priority, Result, Write, key_of, replaces, send
from .resources import Json
from .session import ApiSession
from .throttle import Throttle, ThrottleSettings

MAX_REJECTIONS = 5
"""How often one write is sent again after a 429 before its planner hears of it."""


@dataclass(slots=True)
class _Pending:
    write: Write
    priority: Priority
    order: int
    future: asyncio.Future[Outcome]
    rejections: int = 0


@dataclass(slots=True)
class WriteCounters:
    """Counted since the start: requests sent, 429s met, and how writes ended."""

    sent: int = 0
    rejected: int = 0
    results: Counter[Result] = field(default_factory=Counter)


class WriteQueue:
    """Coalescing, prioritised, throttled, fenced.

    Of writes with one key (an object and a kind of write) at most one is in flight and one waits: a newer one takes
    the waiting one's place, and its turn. `gate` is asked right before each request; when it says False the write ends
    FENCED and nothing is sent. `request_timeout` in seconds: the gate should say False when less is left of the lease.
    """

    def __init__(
        self,
        session: ApiSession,
        gate: Callable[[], bool],
        *,
        concurrency: int = 20,
        request_timeout: float = 5.0,
        throttle: ThrottleSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.request_timeout = request_timeout
        self.counters = WriteCounters()
        self.throttle = Throttle(throttle or ThrottleSettings(), clock)
        self._session = session
        self._gate = gate
        self._concurrency = concurrency
        self._sleep = sleep
        self._pending: dict[Key, _Pending] = {}
        self._heap: list[tuple[Priority, int, Key]] = []
        self._flying: dict[Key, asyncio.Task[None]] = {}
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def depth(self) -> int:
        """Writes that wait."""
        return len(self._pending)

    @property
    def in_flight(self) -> int:
        """Writes that are being sent."""
        return len(self._flying)

    def submit(
        self,
        write: Write,
        priority: Priority = Priority.NORMAL,
        on_done: Callable[[Outcome], None] | None = None,
    ) -> asyncio.Future[Outcome]:
        """Queue a write. The future never fails: whatever happens is an Outcome. `on_done` gets the same."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if on_done is not None:
            callback = on_done
            future.add_done_callback(lambda done: None if done.cancelled() else callback(done.result()))
        key = key_of(write)
        pending = _Pending(write, priority, next(self._order), future)
        older = self._pending.pop(key, None)
        if older is not None:
            pending = _merged(older, pending)
            self._finish(older, Outcome(Result.SUPERSEDED, older.write))
        if key not in self._flying and isinstance(pending.write, Patch) and pending.write.difference() is None:
            self._finish(pending, Outcome(Result.UNCHANGED, pending.write))
        else:
            self._enqueue(key, pending)
        return future

    async def run(self) -> None:
        """Send what is queued until cancelled; then what waits or is under way ends DROPPED."""
        try:
            while True:
                await self._work_and_room()
                delay = self.throttle.delay()
                if delay > 0:
                    await self._sleep(delay)
                else:
                    self._start_next()
        finally:
            await self._stop()

    async def idle(self) -> None:
        """Wait until nothing waits, nothing is in flight, and who submitted it has been told."""
        await self._idle.wait()
        # Callbacks of a future that has just been set run in the loop's next turn.
        await asyncio.sleep(0)

    def _enqueue(self, key: Key, pending: _Pending) -> None:
        self._pending[key] = pending
        self._idle.clear()
        # What has a twin in flight is put on the heap when that one is back.
        if key not in self._flying:
            heapq.heappush(self._heap, (pending.priority, pending.order, key))
            self._wake.set()

    async def _work_and_room(self) -> None:
        while True:
            self._drop_outdated()
            if self._heap and len(self._flying) < self._concurrency:
                return
            self._settle()
            self._wake.clear()
            await self._wake.wait()

    def _drop_outdated(self) -> None:
        """Replaced writes leave their place on the heap behind."""
        while self._heap:
            _, order, key = self._heap[0]
            pending = self._pending.get(key)
            if pending is not None and pending.order == order and key not in self._flying:
                return
            heapq.heappop(self._heap)

    def _start_next(self) -> None:
        self._drop_outdated()
        if not self._heap:
            return
        _, _, key = heapq.heappop(self._heap)
        pending = self._pending.pop(key)
        difference = pending.write.difference() if isinstance(pending.write, Patch) else None
        if isinstance(pending.write, Patch) and difference is None:
            self._finish(pending, Outcome(Result.UNCHANGED, pending.write))
            return
        if not self._gate():
            self._finish(pending, Outcome(Result.FENCED, pending.write))
            return
        self.throttle.take()
        self._flying[key] = asyncio.create_task(self._send(key, pending, difference))

    async def _send(self, key: Key, pending: _Pending, difference: Json | None) -> None:
        outcome: Outcome | None = Outcome(Result.DROPPED, pending.write)
        try:
            outcome = await self._attempt(pending, difference)
        finally:
            del self._flying[key]
            if outcome is None:
                self._again(key, pending)
            else:
                self._finish(pending, outcome)
            self._release(key, outcome)
            self._wake.set()
            self._settle()

    async def _attempt(self, pending: _Pending, difference: Json | None) -> Outcome | None:
        """One request; None when it is to be sent again."""
        # Asked again, for the loop may have been stuck since; nothing may be awaited between this and the request.
        if not self._gate():
            return Outcome(Result.FENCED, pending.write)
        self.counters.sent += 1
        try:
            outcome = await send(self._session, pending.write, difference, self.request_timeout)
        except TooManyRequests as error:
            self.counters.rejected += 1
            self.throttle.rejected(error.retry_after)
            pending.rejections += 1
            if pending.rejections > MAX_REJECTIONS:
                return Outcome(Result.FAILED, pending.write, error=error)
            return None
        if not outcome.retryable:
            self.throttle.succeeded()
        return outcome

    def _again(self, key: Key, pending: _Pending) -> None:
        """Back into the queue after a 429, unless a newer write has come meanwhile."""
        if key in self._pending:
            self._finish(pending, Outcome(Result.SUPERSEDED, pending.write))
        else:
            self._pending[key] = pending

    def _release(self, key: Key, outcome: Outcome | None) -> None:
        """Let the write that waited for this one go, on top of what the server said."""
        pending = self._pending.get(key)
        if pending is None:
            return
        latest = outcome.object if outcome is not None else None
        if latest is not None and isinstance(pending.write, Patch) and replaces(latest, pending.write):
            if pending.write.check_version:
                del self._pending[key]
                self._finish(pending, Outcome(Result.CONFLICT, pending.write, latest))
                return
            pending.write = pending.write.rebased(latest)
        heapq.heappush(self._heap, (pending.priority, pending.order, key))

    def _finish(self, pending: _Pending, outcome: Outcome) -> None:
        self.counters.results[outcome.result] += 1
        if not pending.future.done():
            pending.future.set_result(outcome)

    def _settle(self) -> None:
        if not self._pending and not self._flying:
            self._idle.set()

    async def _stop(self) -> None:
        for task in self._flying.values():
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)
        for pending in self._pending.values():
            self._finish(pending, Outcome(Result.DROPPED, pending.write))
        self._pending.clear()
        self._heap.clear()
        self._settle()


def _merged(older: _Pending, newer: _Pending) -> _Pending:
    """The newer write at the better place of the two, as careful as either."""
    if isinstance(older.write, Patch) and isinstance(newer.write, Patch) and older.write.check_version:
        newer.write = replace(newer.write, check_version=True)
    newer.priority = min(older.priority, newer.priority)
    newer.order = older.order
    return newer
