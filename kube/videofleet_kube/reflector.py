"""A live, projected copy of a resource: what the rest of the operator reads instead of asking the API server."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from .cache import Change, Entry, ObjectCache
from .follower import Follower, WatchCounters, WatchSettings
from .resources import Json, Resource, uid_of, version_of
from .session import ApiSession
from .watching import EventType, WatchEvent

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reflector(Generic[T]):
    """Keeps `cache` equal to the server's objects, of some namespaces or (None) of all.

    `project` turns an object into what is kept of it; None leaves the object out. It should drop
    `metadata.managedFields`, and must keep nothing it does not need: every object's projection stays in memory.
    `on_change` is called for each change, in order, after the cache has it; it must be quick and must not raise.
    """

    def __init__(
        self,
        session: ApiSession,
        resource: Resource,
        namespaces: Sequence[str] | None,
        on_change: Callable[[Change[T]], None],
        project: Callable[[Json], T | None],
        *,
        settings: WatchSettings | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if namespaces is not None and (not namespaces or not resource.namespaced):
            raise ValueError(f"namespaces of {resource.plural}: got {namespaces!r}, expected None or at least one name")
        self.cache: ObjectCache[T] = ObjectCache()
        self.counters = WatchCounters()
        self.synced = asyncio.Event()
        """Set once every namespace has been listed."""
        self._resource = resource
        self._on_change = on_change
        self._project = project
        self._clock = clock
        scopes: Sequence[str | None] = [None] if namespaces is None else sorted(set(namespaces))
        self._unlisted = set(scopes)
        self._namespaces = None if namespaces is None else frozenset(namespaces)
        self._followers = [
            Follower(
                session,
                resource,
                scope,
                self,
                self.counters,
                settings or WatchSettings(),
                rng or random.Random(),
                clock,
                sleep,
            )
            for scope in scopes
        ]

    async def run(self) -> None:
        """Follow the server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for follower in self._followers:
                group.create_task(follower.run())

    async def refreshed(self) -> None:
        """Wait until the cache has reached a list that began after this call. Needs `run` to be running."""
        await asyncio.gather(*[follower.refresh() for follower in self._followers])

    def feed(self, obj: Json) -> None:
        """Take in an object that a write has returned, ahead of its watch event."""
        entry = self.entry(obj)
        if self._namespaces is None or entry.namespace in self._namespaces:
            self._emit(self.cache.apply(entry))

    def gone(self, uid: str) -> None:
        """Forget an object that a read has shown to be gone, ahead of its watch event."""
        self._emit(self.cache.bury(uid))

    def age(self) -> float | None:
        """Seconds since the server was last heard; None before the first time."""
        heard = self.counters.last_event_at
        return None if heard is None else max(0.0, self._clock() - heard)

    def replaced(self, scope: str | None, entries: list[Entry[T]], version: str, rewound: bool) -> None:
        """A follower's complete list."""
        self._emit(self.cache.replace(scope, entries, version, rewound=rewound))
        self._unlisted.discard(scope)
        if not self._unlisted:
            self.synced.set()

    def happened(self, event: WatchEvent) -> None:
        """A follower's event."""
        if event.type is EventType.DELETED:
            self._emit(self.cache.delete(Entry.of(event.object, None)))
        else:
            self._emit(self.cache.apply(self.entry(event.object)))

    def entry(self, obj: Json, *, anew: bool = False) -> Entry[T]:
        """What is kept of an object; one that is known at this version is not read again, unless `anew`."""
        known = None if anew else self.cache.entry(uid_of(obj))
        if known is not None and known.version == version_of(obj):
            return known
        return Entry.of(obj, self._projected(obj))

    def _projected(self, obj: Json) -> T | None:
        """One object that the projection chokes on must not blind the operator to all others."""
        try:
            return self._project(obj)
        except Exception:
            self.counters.projection_failures += 1
            metadata = obj["metadata"]
            log.exception(
                "%s %s/%s cannot be read and is left out",
                self._resource.plural,
                metadata.get("namespace", ""),
                metadata["name"],
            )
            return None

    def _emit(self, changes: list[Change[T]]) -> None:
        for change in changes:
            self._on_change(change)
