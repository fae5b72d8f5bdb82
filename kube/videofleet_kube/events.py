"""Events about objects, for `kubectl describe`: aggregated, rate limited, and never in anybody's way."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from .errors import AlreadyExists, ApiError, NotFound, TooManyRequests
from .resources import EVENTS, Json, ObjectRef
from .session import ApiSession
from .throttle import Throttle, ThrottleSettings

log = logging.getLogger(__name__)

MAX_MESSAGE = 1024
MAX_REMEMBERED = 20_000
"""Events remembered for aggregation; the oldest are forgotten first, and begin anew if they come again."""


class EventKind(StrEnum):
    """The two types that the API knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Seconds, and posts a second."""

    window: float = 600.0
    """Events of one object and reason within it are one, with a count."""
    spacing: float = 60.0
    """An event that repeats is rewritten at most this often."""
    rate: float = 5.0
    burst: float = 50.0
    patience: float = 60.0
    """What has waited longer than this is not sent any more: thousands of streams that start at once would otherwise
    cause writes for an hour, and tell what their status has told all the while."""
    timeout: float = 5.0


@dataclass(slots=True)
class _Series:
    """One Event object of the API: how often it was reported, and what of that has been sent."""

    target: ObjectRef
    kind: str
    reason: str
    message: str
    event: EventKind
    name: str
    first: datetime
    last: datetime
    opened_at: float
    told_at: float
    count: int = 1
    sent_count: int = 0
    sent_at: float = float("-inf")

    def body(self, component: str, instance: str) -> Json:
        """The Event to create."""
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": self.target.resource.api_version,
                "kind": self.kind,
                "namespace": self.target.namespace,
                "name": self.target.name,
                "uid": self.target.uid,
                "resourceVersion": self.target.version,
            },
            "type": self.event.value,
            "source": {"component": component, "host": instance},
            "reportingComponent": component,
            "reportingInstance": instance,
            "firstTimestamp": _format(self.first),
            **self.update(),
        }

    def update(self) -> Json:
        """What changes when it is reported again; the core API, unlike events.k8s.io, lets the words be rewritten."""
        return {
            "reason": self.reason,
            "message": self.message,
            "count": self.count,
            "lastTimestamp": _format(self.last),
        }

    @property
    def namespace(self) -> str:
        """Events about cluster-scoped objects live in `default`."""
        return self.target.namespace or "default"


class EventRecorder:
    """Posts Events in the background. `post` never raises, never waits; a failure to deliver is logged and counted.

    `gate` is asked before each request, so that one who no longer leads is silent.
    """

    def __init__(
        self,
        session: ApiSession,
        component: str,
        instance: str,
        *,
        gate: Callable[[], bool] = lambda: True,
        settings: EventSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        """Series whose news had waited too long."""
        self._session = session
        self._component = component
        self._instance = instance
        self._gate = gate
        self._settings = settings or EventSettings()
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._throttle = Throttle(ThrottleSettings(rate=self._settings.rate, burst=self._settings.burst), clock)
        self._series: OrderedDict[tuple[str, str], _Series] = OrderedDict()
        self._dirty: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Series with something not yet sent."""
        return len(self._dirty)

    @property
    def remembered(self) -> int:
        """Series that go on if they are reported again."""
        return len(self._series)

    def post(
        self,
        target: ObjectRef,
        kind: str,
        reason: str,
        message: str,
        event: EventKind = EventKind.NORMAL,
        *,
        topic: str = "",
    ) -> None:
        """Report something about an object; `kind` as in its manifest. Repeats of a reason raise its count.

        With a `topic` the object has one Event for it, whatever the reason and however long ago; the next process
        goes on with the same one.
        """
        key = (target.uid, topic or reason)
        series = self._series.get(key)
        if series is None or (not topic and self._clock() - series.opened_at > self._settings.window):
            series = self._open(target, kind, reason, event, topic)
            self._series[key] = series
        else:
            series.count += 1
            series.last, series.told_at = self._wall(), self._clock()
        series.reason = reason
        series.message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        self._series.move_to_end(key)
        self._dirty[key] = None
        self._forget()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            key, due = self._next()
            if key is None:
                self._wake.clear()
                await self._wait(due)
            elif self._too_late(self._series[key]):
                self._drop(key)
            elif (delay := self._throttle.delay()) > 0:
                await self._sleep(delay)
            else:
                await self._deliver(key)

    def _open(self, target: ObjectRef, kind: str, reason: str, event: EventKind, topic: str) -> _Series:
        now = self._wall()
        once = f"topic/{topic}" if topic else f"{reason}/{self._instance}/{now.timestamp()}"
        digest = hashlib.sha256(f"{target.uid}/{once}".encode()).hexdigest()[:16]
        name = f"{target.name[:200]}.{digest}"
        return _Series(target, kind, reason, "", event, name, now, now, self._clock(), self._clock())

    def _next(self) -> tuple[tuple[str, str] | None, float | None]:
        """A series to deliver now, or else the seconds until one is due (None: nothing waits)."""
        now, soonest = self._clock(), None
        for key in self._dirty:
            due = self._series[key].sent_at + self._settings.spacing - now
            if due <= 0:
                return key, None
            soonest = due if soonest is None else min(soonest, due)
        return None, soonest

    def _too_late(self, series: _Series) -> bool:
        due = max(series.told_at, series.sent_at + self._settings.spacing)
        return self._clock() > due + self._settings.patience

    def _drop(self, key: tuple[str, str]) -> None:
        del self._dirty[key]
        if not self._series[key].sent_count:
            # Nobody was told of it, so nothing goes on; thousands of them would be held for nothing.
            del self._series[key]
        self.dropped += 1

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _deliver(self, key: tuple[str, str]) -> None:
        series = self._series[key]
        del self._dirty[key]
        if not self._gate():
            return
        self._throttle.take()
        new, count = series.sent_count == 0, series.count
        series.sent_at = self._clock()
        try:
            await (self._create(series) if new else self._update(series))
        except ApiError as error:
            self.failed += 1
            if isinstance(error, TooManyRequests):
                self._throttle.rejected(error.retry_after)
            log.warning("event %s about %s not delivered: %s", series.reason, series.target.name, error)
            return
        series.sent_count = count
        self.sent += 1

    async def _create(self, series: _Series) -> None:
        body = series.body(self._component, self._instance)
        try:
            await self._session.create(EVENTS, series.namespace, body, timeout=self._settings.timeout)
        except AlreadyExists:
            # The answer to an earlier try was lost, or an earlier process told of the same topic.
            await self._update(series)

    async def _update(self, series: _Series) -> None:
        try:
            await self._session.patch(
                EVENTS, series.namespace, series.name, series.update(), timeout=self._settings.timeout
            )
        except NotFound:
            # The API server lets Events expire.
            body = series.body(self._component, self._instance)
            await self._session.create(EVENTS, series.namespace, body, timeout=self._settings.timeout)

    def _forget(self) -> None:
        while len(self._series) > MAX_REMEMBERED:
            key, _ = self._series.popitem(last=False)
            self._dirty.pop(key, None)


def _format(time: datetime) -> str:
    """A Time of the API: whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
