"""What everything is measured in: a control plane, simulated nodes and workers, and our operator."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.support.control_plane import ControlPlane, node_body, started
from tests.support.crowd import JOBS, POOLS, Crowd, in_swarm, pool_body
from tests.support.operator_process import OperatorProcess
from tests.support.programs import REPOSITORY
from videofleet_api.names import LABEL_POOL
from videofleet_kube import NODES, PODS, ApiSession, Json, Resource, from_kubeconfig
from videofleet_kube.errors import NotFound, TooManyRequests

T = TypeVar("T")
NAMESPACE = "bench"
NODE_COUNT = 10
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
ACCOUNTS = Resource("", "v1", "serviceaccounts")
PARTS = ("api", "archive", "kube", "operator", "worker", ".")


def say(text: str) -> None:
    """Progress, on stderr: what is measured goes elsewhere."""
    print(text, file=sys.stderr, flush=True)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run it; SIGTERM ends it in order, so that no process is left behind."""

    async def guarded() -> T:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    return asyncio.run(guarded())


@contextmanager
def program(module: str, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program of this repository that runs while the block does. It must not end before."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in PARTS)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], env=environment, stdout=output, stderr=output
        )
    try:
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{module} has ended:\n{log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.wait()


@dataclass
class World:
    """One control plane with the CRDs, nodes, a fleet for all worker pods, and clients."""

    plane: ControlPlane
    api: ApiSession
    folder: Path
    fleet: subprocess.Popen[bytes]

    def operator(self, name: str = "one", **settings: str) -> OperatorProcess:
        """An operator for the namespace of the benchmark, not started. A busy machine does not make it step down."""
        given = {"namespace": NAMESPACE, "namespaces": NAMESPACE, "identity": name, "lease_duration": "60"}
        return OperatorProcess(self.folder / f"operator-{name}.log", self.plane.kubeconfig, **given | settings)

    async def pool(self, workers: int, capacity: int, name: str = "pool", **spec: object) -> None:
        """Create a pool."""
        await self.api.create(POOLS, NAMESPACE, pool_body(name, workers, capacity, **spec))

    async def until_workers(self, count: int, name: str = "pool", timeout: float = 600.0) -> None:
        """Wait until so many workers of a pool are ready."""

        async def ready() -> bool:
            pool = await self.api.get(POOLS, NAMESPACE, name)
            return bool(((pool or {}).get("status") or {}).get("workers", {}).get("ready", 0) == count)

        await until(ready, f"{count} workers of {name} are ready", timeout)

    async def pods(self) -> list[Json]:
        """Worker pods that are not being deleted."""
        found = await self.api.list(PODS, NAMESPACE, {"labelSelector": LABEL_POOL})
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    async def lose(self, pods: list[Json]) -> None:
        """Take pods away without a word, as when their nodes are gone."""

        async def delete(name: str) -> None:
            await self.api.delete(PODS, NAMESPACE, name, grace_seconds=0)

        await in_swarm(delete, [pod["metadata"]["name"] for pod in pods], 50)

    async def clear(self) -> None:
        """Delete every job and pool, and wait until the operator has taken the workers away."""
        for resource in (JOBS, POOLS):
            names = [each["metadata"]["name"] for each in (await self.api.list(resource, NAMESPACE))["items"]]

            async def delete(name: str, resource: Resource = resource) -> None:
                await self.api.delete(resource, NAMESPACE, name)

            await in_swarm(delete, names)

        async def cleared() -> bool:
            return not await self.pods()

        await until(cleared, "every worker pod is gone", 120)


async def until(check: Callable[[], Awaitable[bool]], what: str, timeout: float, interval: float = 0.2) -> None:
    """Ask again and again until the answer is yes. AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not await check():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        await asyncio.sleep(interval)


async def _leads(operator: OperatorProcess) -> bool:
    if not operator.running:
        raise RuntimeError(f"the operator has ended:\n{operator.log()[-3000:]}")
    return operator.leads


@asynccontextmanager
async def leading(operator: OperatorProcess) -> AsyncIterator[OperatorProcess]:
    """An operator that leads while the block runs."""
    operator.launch()
    try:
        await until(partial(_leads, operator), "the operator leads", 120, 0.05)
        yield operator
    finally:
        operator.kill()


@asynccontextmanager
async def kept_up(*operators: OperatorProcess) -> AsyncIterator[list[float]]:
    """Replicas of which one leads. As by a kubelet, one that ends is started again; when (monotonic) is in the list."""
    restarts: list[float] = []

    async def keep() -> None:
        while True:
            await asyncio.sleep(0.5)
            for operator in operators:
                if not operator.running:
                    restarts.append(time.monotonic())
                    operator.launch()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(leading(operators[0]))
        for standby in operators[1:]:
            stack.callback(standby.kill)
            await standby.start()
        task = asyncio.create_task(keep())
        try:
            yield restarts
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    """A world in an empty folder."""
    async with AsyncExitStack() as stack:
        say("== control plane")
        plane = stack.enter_context(started(folder / "plane"))
        credentials = from_kubeconfig(plane.kubeconfig)
        api = await stack.enter_async_context(ApiSession(credentials, timeout=60.0, user_agent="bench"))
        await _furnish(api)
        arguments = ("--kubeconfig", plane.kubeconfig)
        fleet = stack.enter_context(program("tests.support.simulated_fleet", folder / "fleet.log", *arguments))
        yield World(plane, api, folder, fleet)


@asynccontextmanager
async def crowd_of(world: World, namespace: str = NAMESPACE) -> AsyncIterator[Crowd]:
    """The jobs of the benchmark, watched."""
    async with Crowd(world.api, namespace) as crowd:
        yield crowd


async def _furnish(api: ApiSession) -> None:
    for path in sorted((REPOSITORY / "crds").glob("*.yaml")):
        await api.create(CRDS, None, yaml.safe_load(path.read_text(encoding="utf-8")))
    await api.create(NAMESPACES, None, {"metadata": {"name": NAMESPACE}})
    for number in range(NODE_COUNT):
        await api.create(NODES, None, node_body(f"node-{number}"))

    async def furnished() -> bool:
        return await _furnished(api)

    await until(furnished, "the API server serves everything", 60)


async def _furnished(api: ApiSession) -> bool:
    """Whether jobs and pools are served and pods can be made; the controllers need a moment for that."""
    try:
        await api.list(JOBS, NAMESPACE)
        await api.list(POOLS, NAMESPACE)
    except (NotFound, TooManyRequests):
        return False
    nodes = (await api.list(NODES))["items"]
    ready = [each for node in nodes for each in node["status"].get("conditions", []) if each["type"] == "Ready"]
    return len(ready) == NODE_COUNT and await api.get(ACCOUNTS, NAMESPACE, "default") is not None
