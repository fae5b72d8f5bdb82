"""The peers that Kubernetes itself has: batch/v1 Jobs and Deployments, on the nodes that kwok plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.bench.control.world import NAMESPACE, until
from tests.support.crowd import in_swarm
from tests.support.waiting import until_changed
from videofleet_kube import PODS, ApiSession, Change, Json, Reflector, Resource, WatchSettings

BATCH_JOBS = Resource("batch", "v1", "jobs")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
PEER_LABEL = "videofleet.io/peer"


class PodMarks:
    """When pods of a peer were first seen scheduled, running and over, by the name of what owns them."""

    def __init__(self, api: ApiSession) -> None:
        self.scheduled: dict[str, float] = {}
        self.running: dict[str, float] = {}
        self.over: dict[str, float] = {}
        self._changed = asyncio.Event()
        settings = WatchSettings(label_selector=PEER_LABEL)
        self.pods: Reflector[Json] = Reflector(api, PODS, [NAMESPACE], self._on_change, _marks_of, settings=settings)

    def _on_change(self, change: Change[Json]) -> None:
        now, pod = time.monotonic(), change.new
        if pod is not None:
            for name in ("scheduled", "running", "over"):
                if pod[name]:
                    getattr(self, name).setdefault(pod["peer"], now)
        self._changed.set()

    async def until(self, check: Callable[[], bool], what: str, timeout: float = 300.0) -> float:
        """Monotonic time at which `check` was true; asked again after each change. AssertionError after `timeout`."""
        return await until_changed(self._changed, check, lambda: what, timeout)


def _marks_of(pod: Json) -> Json:
    phase = (pod.get("status") or {}).get("phase")
    return {
        "peer": pod["metadata"]["labels"][PEER_LABEL],
        "scheduled": bool(pod["spec"].get("nodeName")),
        "running": phase in ("Running", "Succeeded"),
        "over": phase == "Succeeded",
    }


@asynccontextmanager
async def watched(api: ApiSession) -> AsyncIterator[PodMarks]:
    """Marks of all pods of peers while the block runs."""
    marks = PodMarks(api)
    task = asyncio.create_task(marks.pods.run())
    try:
        await marks.pods.synced.wait()
        yield marks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def batch_job(name: str) -> Json:
    """A Job of one pod."""
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": _template(name, "Never")}}


def deployment(name: str) -> Json:
    """A Deployment of one pod."""
    selector = {"matchLabels": {PEER_LABEL: name}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, "template": _template(name, "Always")}}


def _template(name: str, restart: str) -> Json:
    container = {"name": "main", "image": "peer", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    spec = {"containers": [container], "restartPolicy": restart, "automountServiceAccountToken": False}
    return {"metadata": {"labels": {PEER_LABEL: name}}, "spec": spec}


async def delete_all(api: ApiSession, resource: Resource, marks: PodMarks) -> None:
    """Delete all Jobs or Deployments, and wait until their pods are gone."""
    names = [each["metadata"]["name"] for each in (await api.list(resource, NAMESPACE))["items"]]

    async def delete(name: str) -> None:
        await api.delete(resource, NAMESPACE, name, propagation="Background")

    await in_swarm(delete, names)

    async def gone() -> bool:
        return not len(marks.pods.cache)

    await until(gone, "every pod of a peer is gone", 300)
