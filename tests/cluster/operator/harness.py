"""A namespace of the real API server in which the test plays the kubelet and the workers, and the operator is real."""

from __future__ import annotations

import asyncio
import base64
import copy
import itertools
import json
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.simulated_archive import SimulatedArchive
from tests.support.simulated_worker import Disturbance, Scripts, SimulatedWorker, Step, TlsFiles
from videofleet_api.names import API_VERSION, GROUP, LABEL_POOL, LICENSE_NAME, VERSION, worker_tls_secret_name
from videofleet_api.times import parse_time
from videofleet_kube import ApiSession
from videofleet_kube.errors import NotFound, TooManyRequests
from videofleet_kube.resources import EVENTS, LEASES, PODS, SECRETS, Json, Resource

JOBS = Resource(GROUP, VERSION, "videojobs")
POOLS = Resource(GROUP, VERSION, "workerpools")
LICENSES = Resource(GROUP, VERSION, "videolicenses", namespaced=False)
NOWHERE = {"videofleet.io/no-such-node": "true"}
"""A node selector that matches no node: the scheduler leaves the pods to the test."""
_HOOK = f"{GROUP}/test-hook"
"""A finalizer on pods whose deletion takes as long as their worker has jobs."""
ADDRESSES = (f"127.{a}.{b}.{c}" for a, b, c in iter(lambda: [random.randint(2, 250) for _ in range(3)], []))
PATIENCE = 90.0
LEASE = "videofleet-operator"
"""Name of the operators' Lease."""


async def eventually(check: Callable[[], Any], what: str, timeout: float = PATIENCE, interval: float = 0.05) -> Any:
    """The first truthy answer of `check` (awaited where it must be); AssertionError with the last one in the end."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {answer!r}")
        await asyncio.sleep(interval)


async def shorten_lease(api: ApiSession, namespace: str) -> None:
    """Nobody has to wait for the Lease of an operator that was killed: it lasts for a second from now on."""
    await api.patch(LEASES, namespace, LEASE, {"spec": {"leaseDurationSeconds": 1}})


@dataclass(frozen=True, slots=True)
class Seen:
    """A VideoJob's status as one event of the watch brought it."""

    version: str
    status: Json

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def brief(self) -> tuple[str, str, int]:
        """Phase, reason, epoch."""
        return self.phase, str(self.status.get("reason", "")), int(self.status.get("epoch", 0))


class World:
    """One namespace: its objects, a watch of its jobs, and its workers."""

    def __init__(self, api: ApiSession, namespace: str, disturbance: Disturbance | None = None) -> None:
        self.api = api
        self.namespace = namespace
        self._disturbance = disturbance
        self.pool_name = f"pool-{secrets.token_hex(2)}"
        self.scripts = Scripts()
        self.workers: dict[str, SimulatedWorker] = {}
        """Simulated workers by the name of their pod."""
        self.holding = False
        """New pods stay pending while this is set."""
        self.archive: SimulatedArchive | None = None
        """Of workers that begin from now on."""
        self._uids: dict[str, str] = {}
        self._pools: set[str] = set()
        """uids."""
        self._seen: dict[str, list[Seen]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._secrets: set[str] = set()
        self._began = False

    async def open(self) -> None:
        """Begin to watch jobs and to play the kubelet."""
        listed = await eventually(self._list_jobs, "jobs are served")
        version = listed["metadata"]["resourceVersion"]
        self._tasks = [asyncio.create_task(self._watch(version)), asyncio.create_task(self._play_kubelet())]

    async def _list_jobs(self) -> Json | None:
        try:
            return await self.api.list(JOBS, self.namespace)
        except TooManyRequests:
            # The CRD was applied anew at the start of the run, which the server may notice only now.
            return None

    async def close(self) -> None:
        """Delete what would keep an operator busy, stop watching, end the workers."""
        for resource in (JOBS, POOLS):
            for found in (await self.api.list(resource, self.namespace))["items"]:
                await self.delete(resource, found["metadata"]["name"])
        for name in self._secrets:
            # Another test may have the namespace next, and look for what is missing.
            if await self.api.get(SECRETS, self.namespace, name) is not None:
                await self.delete(SECRETS, name)
        for pod in await self._all_pods():
            await self._release(pod["metadata"]["name"])
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self.workers.values()))
        failed = [each for each in results if isinstance(each, Exception)]
        if failed:
            raise failed[0]

    # Objects

    async def pool(self, name: str = "", **spec: Any) -> Json:
        """Create a WorkerPool whose pods go nowhere."""
        name = name or self.pool_name
        given = {"accelerator": {"type": "none"}, "nodeSelector": NOWHERE, **spec}
        created = await self._create(POOLS, "WorkerPool", name, given)
        self._pools.add(created["metadata"]["uid"])
        return created

    async def job(self, name: str, **spec: Any) -> Json:
        """Create a VideoJob."""
        given = {
            "source": {"url": "rtsp://camera.example/1"},
            "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}],
            "restart": {"delay": 0.2},
            **spec,
        }
        return await self._create(JOBS, "VideoJob", name, given)

    async def secret(self, name: str, **data: str) -> Json:
        """Create a Secret; it goes with the test."""
        self._secrets.add(name)
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        body = {"metadata": {"name": name}, "data": encoded}
        return await self.api.create(SECRETS, self.namespace, body)

    async def edit(self, resource: Resource, name: str, **spec: Any) -> Json:
        """Merge into the spec of a job or pool."""
        return await self.api.patch(resource, self.namespace, name, {"spec": spec})

    async def delete(self, resource: Resource, name: str) -> None:
        """Delete an object."""
        await self.api.delete(resource, self.namespace, name)

    async def status(self, name: str, resource: Resource = JOBS) -> Json:
        """Status of an object, {} without one."""
        found = await self.api.get(resource, self.namespace, name)
        return (found or {}).get("status") or {}

    async def _create(self, resource: Resource, kind: str, name: str, spec: Json) -> Json:
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        created = await self.api.create(resource, self.namespace, body)
        self._uids[name] = created["metadata"]["uid"]
        return created

    # What is seen

    def history(self, name: str) -> list[Seen]:
        """Every state of a job's status that the API server ever told, in order."""
        return list(self._seen.get(name, []))

    def phases(self, name: str) -> list[str]:
        """Phases of a job in order, repeats taken out."""
        return [key for key, _ in itertools.groupby(seen.phase for seen in self.history(name)) if key]

    def began(self, name: str, phase: str) -> list[float]:
        """When the job went into this phase, each time, by the operator's clock: a watch may bring it much later."""
        told = dict.fromkeys(seen.status["since"] for seen in self.history(name) if seen.phase == phase)
        return [parse_time(time) for time in told]

    def last(self, name: str) -> Json:
        """The newest status of a job that the watch has brought."""
        history = self._seen.get(name)
        return history[-1].status if history else {}

    async def until(
        self, name: str, phase: str, reason: str | None = None, timeout: float = PATIENCE, **also: Any
    ) -> Json:
        """Wait until the job is in this phase (with this reason, and these other values in its status).

        It may be so for a moment only: whatever the watch brings from now on is looked at.
        """
        known = max(0, len(self._seen.get(name, [])) - 1)

        def meant(status: Json) -> bool:
            well = status.get("phase") == phase and reason in (None, status.get("reason"))
            return well and all(status.get(key) == value for key, value in also.items())

        def check() -> Json | None:
            return next((seen.status for seen in self._seen.get(name, [])[known:] if meant(seen.status)), None)

        try:
            return dict(await eventually(check, f"{name} is {phase} {reason or ''} {also or ''}", timeout))
        except AssertionError as error:
            told = "\n".join(str(seen.brief) for seen in self.history(name))
            around = json.dumps({"status": self.last(name), **await self._surroundings()}, indent=1)
            raise AssertionError(f"{error}; its life:\n{told}\n{around}") from None

    async def _surroundings(self) -> Json:
        """What helps to see why something did not happen; also another operator's doing would show here."""
        pods = [{key: pod[key] for key in ("metadata", "status")} for pod in await self.pods()]
        license = await self.api.get(LICENSES, None, LICENSE_NAME)
        sets = {name: [each.wire() for each in worker.sets[-2:]] for name, worker in self.workers.items()}
        return {"pods": pods, "VideoLicense": license, "last sets": sets}

    async def events(self, name: str) -> list[Json]:
        """The Events about a job or pool."""
        selector = f"involvedObject.uid={self._uids[name]}"
        found = await self.api.list(EVENTS, self.namespace, {"fieldSelector": selector})
        return list(found["items"])

    async def until_event(self, name: str, reason: str, timeout: float = PATIENCE) -> Json:
        """Wait for an Event about an object."""

        async def check() -> Json | None:
            return next((event for event in await self.events(name) if event["reason"] == reason), None)

        return dict(await eventually(check, f"an Event {reason} about {name}", timeout))

    async def _watch(self, version: str) -> None:
        query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
        async with self.api.watch(JOBS, self.namespace, query) as chunks:
            rest = b""
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
        raise AssertionError("the test's own watch has ended")

    def _take(self, event: Json) -> None:
        if event["type"] not in ("ADDED", "MODIFIED"):
            return
        metadata, status = event["object"]["metadata"], event["object"].get("status") or {}
        seen = self._seen.setdefault(metadata["name"], [])
        # An edit of the spec alone is no write of the operator.
        if not seen or seen[-1].status != status:
            seen.append(Seen(metadata["resourceVersion"], copy.deepcopy(status)))

    # Kubelet and workers

    def worker(self, name: str | None = None) -> SimulatedWorker:
        """The worker in this pod, or the only one that there is."""
        if name is not None:
            return self.workers[name]
        assert len(self.workers) == 1, f"there are the workers {sorted(self.workers)}"
        return next(iter(self.workers.values()))

    async def go_on(self, name: str, *steps: Step) -> None:
        """Have the worker of a job do these steps now, as its script would: after what the test has waited for.

        What a script does at its own times may come to the operator all at once, and then is one write.
        """
        worker = self.worker(self.last(name)["worker"]["name"])
        for step in steps:
            await asyncio.sleep(step.after)
            step.do(worker, worker.job(name))

    async def until_workers(self, count: int, pool: str = "", timeout: float = PATIENCE) -> None:
        """Wait until the pool's status tells of so many workers that answer."""

        async def check() -> bool:
            return (await self.status(pool or self.pool_name, POOLS)).get("workers", {}).get("ready") == count

        await eventually(check, f"{count} workers are ready", timeout)

    async def pods(self) -> list[Json]:
        """Worker pods that are not being deleted, of the pools of this world."""
        return [pod for pod in await self._all_pods() if "deletionTimestamp" not in pod["metadata"]]

    async def _all_pods(self) -> list[Json]:
        # Those of a test that had the namespace before may still wait for the cluster to collect them.
        found = await self.api.list(PODS, self.namespace, {"labelSelector": LABEL_POOL})
        return [pod for pod in found["items"] if pod["metadata"]["ownerReferences"][0]["uid"] in self._pools]

    async def annotate(self, resource: Resource, name: str, **annotations: str | None) -> None:
        """Set annotations of ours on an object, by their names without the group; None removes one."""
        named = {f"{GROUP}/{key}": value for key, value in annotations.items()}
        await self.api.patch(resource, self.namespace, name, {"metadata": {"annotations": named}})

    async def terminate(self, name: str) -> None:
        """Delete a worker pod that goes on, as one with a preStop hook does, until it holds no job any more."""
        await self.api.patch(PODS, self.namespace, name, {"metadata": {"finalizers": [_HOOK]}})
        await self.api.delete(PODS, self.namespace, name)

    async def _let_go(self, pods: list[Json]) -> set[str]:
        """End the hooks of pods whose worker has no job; uids of those that go on."""
        going_on = set()
        for pod in pods:
            metadata = pod["metadata"]
            worker = self.workers.get(metadata["name"])
            # The cluster's own collector declares pods failed that end without a node: those are over.
            if worker is not None and worker.assigned and pod["status"].get("phase") == "Running":
                going_on.add(metadata["uid"])
            else:
                await self._release(metadata["name"])
        return going_on

    async def _release(self, name: str) -> None:
        try:
            await self.api.patch(PODS, self.namespace, name, {"metadata": {"finalizers": None}})
        except NotFound:
            return

    async def _play_kubelet(self) -> None:
        by_uid: dict[str, str] = {}
        while True:
            everything = await self._all_pods()
            pods = {pod["metadata"]["uid"]: pod for pod in everything if "deletionTimestamp" not in pod["metadata"]}
            hooked = [pod for pod in everything if _HOOK in pod["metadata"].get("finalizers", [])]
            ending = await self._let_go([pod for pod in hooked if pod["metadata"]["uid"] not in pods])
            for uid in by_uid.keys() - pods.keys() - ending:
                await self.workers.pop(by_uid.pop(uid)).stop()
            for uid in pods.keys() - by_uid.keys():
                if not self.holding and await self._run_pod(pods[uid]):
                    by_uid[uid] = pods[uid]["metadata"]["name"]
            await asyncio.sleep(0.1)

    async def _run_pod(self, pod: Json) -> bool:
        name = pod["metadata"]["name"]
        secret = await self.api.get(SECRETS, self.namespace, worker_tls_secret_name(name))
        if secret is None:
            return False
        tls = TlsFiles.of_secret({key: base64.b64decode(value) for key, value in secret["data"].items()})
        environment = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        capacity = int(environment["VIDEOFLEET_CAPACITY"] or 0)
        worker = SimulatedWorker(
            name,
            next(ADDRESSES),
            tls,
            self.scripts,
            capacity=capacity,
            disturbance=self._disturbance,
            archive=self.archive,
        )
        await worker.start()
        self.workers[name] = worker
        await self.tell_running(name, worker.host)
        return True

    async def tell_running(self, name: str, host: str) -> None:
        """The pod runs and is ready, at this address."""
        try:
            await self.api.patch(PODS, self.namespace, name, _running(host), subresource="status")
        except NotFound:
            return


def _running(host: str) -> Json:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now}
        for kind in ("PodScheduled", "ContainersReady", "Ready")
    ]
    return {"status": {"phase": "Running", "podIP": host, "podIPs": [{"ip": host}], "conditions": conditions}}
