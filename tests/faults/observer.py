"""Watches the API server directly and has every version of every object checked; keeps how things were."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.cluster.operator.harness import JOBS, POOLS
from tests.faults.oracles import Invariants
from videofleet_kube import ApiSession
from videofleet_kube.resources import PODS, Resource

Json = dict[str, Any]


class Observer:
    """Jobs, pools and pods of one namespace."""

    def __init__(self, api: ApiSession, namespace: str, invariants: Invariants) -> None:
        self.invariants = invariants
        self.changed_at = time.monotonic()
        """When a job or pool was last written."""
        self.objects: dict[str, dict[str, Json]] = {}
        """What there is now, by kind and uid."""
        self._api = api
        self._namespace = namespace
        self._history: dict[str, list[tuple[str, dict[str, Json]]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch; the namespace is empty."""
        for resource in (POOLS, JOBS, PODS):
            version = (await self._api.list(resource, self._namespace))["metadata"]["resourceVersion"]
            self.objects[resource.plural] = {}
            self._history[resource.plural] = [(version, {})]
            self._tasks.append(asyncio.create_task(self._watch(resource, version)))

    async def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def blind(self) -> str | None:
        """Why a watch has ended; versions may have been missed, and nothing can be said of the plan."""
        ended = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        return f"the test's own watch has ended: {ended}" if ended else None

    def snapshot(self, kind: str, versions: int) -> tuple[str, list[Json]] | None:
        """A kind's objects as they were so many versions ago."""
        history = self._history.get(kind, [])
        if len(history) <= versions:
            return None
        version, objects = history[-1 - versions]
        return version, list(objects.values())

    def named(self, kind: str, name: str) -> Json | None:
        """An object as it is now."""
        return next((obj for obj in self.objects[kind].values() if obj["metadata"]["name"] == name), None)

    async def _watch(self, resource: Resource, version: str) -> None:
        while True:
            query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
            async with self._api.watch(resource, self._namespace, query) as chunks:
                rest = b""
                async for chunk in chunks:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        event = json.loads(line)
                        assert event["type"] != "ERROR", event
                        version = event["object"]["metadata"]["resourceVersion"]
                        self._take(resource.plural, event["type"], event["object"], version)

    def _take(self, kind: str, what: str, obj: Json, version: str) -> None:
        if what == "BOOKMARK":
            return
        objects = self.objects[kind]
        if what == "DELETED":
            objects.pop(obj["metadata"]["uid"], None)
        else:
            objects[obj["metadata"]["uid"]] = obj
        self._history[kind].append((version, dict(objects)))
        if kind == "pods":
            return
        self.changed_at = time.monotonic()
        if kind == "workerpools":
            self.invariants.pool(obj)
        elif what == "DELETED":
            self.invariants.deleted(obj)
        else:
            self.invariants.job(obj)
