"""Follows one collection: list, watch, resume, list anew. Knows the protocol, not what the objects are for."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from .cache import Entry
from .errors import ApiError, BadRequest, Gone, Invalid, TooManyRequests, Unavailable
from .resources import Json, Resource, is_older
from .session import ApiSession
from .watching import EventType, WatchEvent, batches

T = TypeVar("T")

INTERNAL_ERROR = "InternalError"
SILENCE = "Silence"
CUT_LIST = "CutList"
OLD_LIST = "OldList"

STABLE_S = 10.0
"""A watch that lived this long ends a series of failures."""

MAX_CUT_STREAMS = 3
"""Streaming lists that broke off before the paged list is used instead."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Times in seconds. `streaming`: try the streaming list before the paged one."""

    silence: float = 70.0
    """The server sends a bookmark about once a minute; a connection silent for longer is dead."""
    timeout: tuple[float, float] = (250.0, 350.0)
    """Range of the watches' length; spread, so that they do not all end at once."""
    rewind: float = 10.0
    """So long a list that is older than what was seen is asked for again: one server may lag behind the others. All
    that is older for longer was restored from a backup."""
    backoff: tuple[float, float] = (0.1, 5.0)
    page_size: int = 500
    request_timeout: float = 30.0
    streaming: bool = True
    label_selector: str | None = None
    field_selector: str | None = None


@dataclass(slots=True)
class WatchCounters:
    """Counted since the start; `last_event_at` is on the reflector's clock, None before anything was heard."""

    lists: int = 0
    watch_events: int = 0
    reconnects: int = 0
    silences: int = 0
    expirations: int = 0
    projection_failures: int = 0
    last_event_at: float | None = None


class Sink(Protocol[T]):
    """Where a follower puts what it reads."""

    def entry(self, obj: Json, *, anew: bool = False) -> Entry[T]:
        """What is kept of an object; a long list is never held whole. `anew`: a known version may be another object."""

    def replaced(self, scope: str | None, entries: list[Entry[T]], version: str, rewound: bool) -> None:
        """Everything that exists in the scope at this version."""

    def happened(self, event: WatchEvent) -> None:
        """One change after the last list; never a bookmark."""


class Follower(Generic[T]):
    """One namespace of a resource, or all of it when `scope` is None. Ends only when cancelled."""

    def __init__(
        self,
        session: ApiSession,
        resource: Resource,
        scope: str | None,
        sink: Sink[T],
        counters: WatchCounters,
        settings: WatchSettings,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._resource = resource
        self._scope = scope
        self._sink = sink
        self._counters = counters
        self._settings = settings
        self._rng = rng
        self._clock = clock
        self._sleep = sleep
        self._streaming = settings.streaming
        self._failures = 0
        self._version: str | None = None
        """Where to resume; None: list first."""
        self._highest = ""
        self._behind_since: float | None = None
        """When the first of the older lists came."""
        self._cut_streams = 0
        self._silences = 0
        """In a row, without an event between."""
        self._wanted = 0
        """Number of the newest refresh asked for."""
        self._serving = 0
        """Number of the newest refresh that the present list or watch began after."""
        self._collecting: dict[str, Entry[T]] | None = None
        """Initial events of a streaming list that has not ended yet."""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._deadline: asyncio.Timeout | None = None
        self._label = f"{resource.plural} in {scope or 'all namespaces'}"

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await self._round()
            except Gone as error:
                self._counters.expirations += 1
                self._version = None
                await self._recover(error, at_once=self._failures == 0)
            except ApiError as error:
                await self._recover(error)

    def refresh(self) -> asyncio.Future[None]:
        """Ask for a list begun from now on; done once it has been taken in."""
        self._wanted += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._wanted, future))
        if self._deadline is not None and not self._deadline.expired():
            # The running watch ends as if it had fallen silent just now.
            self._deadline.reschedule(asyncio.get_running_loop().time())
        return future

    async def _round(self) -> None:
        """One list if it is due, one watch."""
        if self._version is not None and not self._waiting:
            await self._watch(initial=False)
        elif self._streaming:
            await self._stream()
        else:
            await self._list()

    async def _stream(self) -> None:
        try:
            await self._watch(initial=True)
        except (BadRequest, Invalid) as error:
            log.info("%s: no streaming list here (%s), listing in pages", self._label, error)
            self._streaming = False
        except Unavailable as error:
            if error.reason == INTERNAL_ERROR:
                # What a server says whose etcd (before 3.4.25 and 3.5.8) cannot tell how far a watch has come.
                log.info("%s: no streaming list here (%s), listing in pages", self._label, error)
                self._streaming = False
                return
            self._cut_streams += error.reason in (CUT_LIST, SILENCE)
            self._streaming = self._cut_streams < MAX_CUT_STREAMS
            raise

    async def _list(self) -> None:
        """Read all pages at one version. A page that expired starts over, by way of Gone."""
        self._serving = self._wanted
        entries: list[Entry[T]] = []
        token: str | None = None
        while True:
            page = await self._page(token)
            entries += [self._entry(obj) for obj in page.get("items") or []]
            token = page["metadata"].get("continue") or None
            if token is None:
                break
        self._replaced(entries, str(page["metadata"]["resourceVersion"]))
        # A server that is just starting refuses streaming lists for a while; the next list may ask again.
        self._streaming = self._settings.streaming

    async def _page(self, token: str | None) -> Json:
        query = {
            "limit": self._settings.page_size,
            "continue": token,
            "labelSelector": self._settings.label_selector,
            "fieldSelector": self._settings.field_selector,
        }
        page = await self._session.list(self._resource, self._scope, query, timeout=self._settings.request_timeout)
        self._heard()
        return page

    async def _watch(self, initial: bool) -> None:
        """Read one watch to its end; with `initial` what exists comes first and is taken in as a list."""
        self._serving = self._wanted
        self._collecting = {} if initial else None
        before, began = self._counters.watch_events, self._clock()
        async with self._session.watch(
            self._resource, self._scope, self._query(initial), timeout=self._settings.request_timeout
        ) as chunks:
            try:
                # A refresh may have been asked for while the watch was being opened.
                patience = 0.0 if self._outdated else self._settings.silence
                async with asyncio.timeout(patience) as self._deadline:
                    async for events in batches(chunks):
                        self._postpone()
                        for event in events:
                            self._take(event)
            except TimeoutError:
                self._fell_silent()
            finally:
                self._deadline = None
                self._failures = 0 if self._clock() - began > STABLE_S else self._failures
        self._ended(began, quiet=self._counters.watch_events == before)

    def _query(self, initial: bool) -> dict[str, str | int | None]:
        query: dict[str, str | int | None] = {
            "allowWatchBookmarks": "true",
            "timeoutSeconds": round(self._rng.uniform(*self._settings.timeout)),
            "labelSelector": self._settings.label_selector,
            "fieldSelector": self._settings.field_selector,
        }
        if initial:
            return {**query, "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        return {**query, "resourceVersion": self._version}

    def _postpone(self) -> None:
        self._heard()
        # A refresh has set the deadline to now; moving it again would lose that wish.
        if self._deadline is not None and not self._outdated:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._settings.silence)

    @property
    def _outdated(self) -> bool:
        """Whether a refresh was asked for after the present list or watch began."""
        return self._wanted > self._serving

    def _take(self, event: WatchEvent) -> None:
        self._counters.watch_events += 1
        self._silences = 0
        if self._collecting is not None:
            self._collect(self._collecting, event)
            return
        self._failures = 0
        if event.type is not EventType.BOOKMARK:
            self._sink.happened(event)
        self._advance(event.version)

    def _collect(self, entries: dict[str, Entry[T]], event: WatchEvent) -> None:
        """Initial events may already be followed by changes before the bookmark that ends them."""
        if event.ends_initial:
            self._collecting = None
            self._replaced(list(entries.values()), event.version)
        elif event.type is EventType.DELETED:
            entries.pop(str(event.object["metadata"]["uid"]), None)
        elif event.type is not EventType.BOOKMARK:
            entry = self._entry(event.object)
            entries[entry.uid] = entry

    def _entry(self, obj: Json) -> Entry[T]:
        # A server that seems restored from a backup may give versions away that it gave away before.
        return self._sink.entry(obj, anew=self._behind_since is not None)

    def _replaced(self, entries: list[Entry[T]], version: str) -> None:
        self._counters.lists += 1
        self._cut_streams = 0
        rewound = is_older(version, self._highest)
        self._doubt(version, rewound)
        if rewound:
            log.warning("%s: the server went back from version %s to %s", self._label, self._highest, version)
            self._highest = ""
        self._advance(version)
        self._sink.replaced(self._scope, entries, version, rewound)
        for wanted, future in self._waiting:
            if wanted <= self._serving and not future.done():
                future.set_result(None)
        self._waiting = [(wanted, future) for wanted, future in self._waiting if not future.done()]

    def _doubt(self, version: str, older: bool) -> None:
        """Do not take in an older list too soon: what was decided since then would be decided once more."""
        first = self._behind_since is None
        self._behind_since = (self._clock() if first else self._behind_since) if older else None
        if self._behind_since is None:
            return
        # The first one was not read anew.
        if first or self._clock() - self._behind_since < self._settings.rewind:
            raise Unavailable(f"the list is of version {version}, {self._highest} was seen already", reason=OLD_LIST)

    def _advance(self, version: str) -> None:
        if version and not is_older(version, self._highest):
            self._version = self._highest = version

    def _fell_silent(self) -> None:
        if not self._outdated:
            self._counters.silences += 1
            self._silences += 1
            if self._silences > 1:
                # A server restored from a backup is silent until it has reached the version we ask to go on from.
                self._version = None
            raise Unavailable(f"nothing heard for {self._settings.silence:g} s", reason=SILENCE)

    def _ended(self, began: float, quiet: bool) -> None:
        """The server ends watches as a matter of course, but not at once without a word, nor within a list."""
        if self._outdated:
            return
        if self._collecting is not None:
            raise Unavailable("the streaming list broke off", reason=CUT_LIST)
        if quiet and self._clock() - began < 1.0:
            raise Unavailable("the watch ended as soon as it began", reason="ShortWatch")

    async def _recover(self, error: ApiError, at_once: bool = False) -> None:
        self._counters.reconnects += 1
        self._failures += 1
        level = logging.INFO if self._failures == 1 else logging.WARNING
        log.log(level, "%s: %s, trying again (failure %d in a row)", self._label, error, self._failures)
        if not at_once:
            await self._sleep(self._pause(error))

    def _pause(self, error: ApiError) -> float:
        """Exponential with full jitter, so that a restarted server is not met by all clients at once."""
        least, most = self._settings.backoff
        pause = self._rng.uniform(least, min(most, least * 2 ** min(self._failures, 16)))
        asked = error.retry_after if isinstance(error, TooManyRequests) else None
        return max(pause, asked or 0.0)

    def _heard(self) -> None:
        self._counters.last_event_at = self._clock()
