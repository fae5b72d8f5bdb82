"""A gateway over a real API server, a real operator, and real workers where the test plays the kubelet."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.cluster.operator.conftest import (  # noqa: F401 - fixtures
    Namespaces,
    Shared,
    api,
    connection,
    crds,
    kubeconfig,
    namespaces,
    shared,
    world,
)
from tests.cluster.operator.harness import ADDRESSES, World, eventually
from tests.support.cameras import CameraSimulator
from tests.support.gateway import Served, served, settings
from tests.support.programs import WORKER, environment, free_port
from videofleet_api.names import WORKER_PLAIN_PORT, worker_tls_secret_name
from videofleet_kube import ApiSession, from_kubeconfig
from videofleet_kube.resources import PODS, SECRETS, Json

POLICY = {"schemes": ["http", "https", "rtsp", "test"], "allowedCidrs": ["127.0.0.0/8"]}
"""Where the cameras and files of tests are."""
RECEIVERS = {"allowedCidrs": ["127.0.0.0/8"]}
LOOPBACK = '{"allowedCidrs": ["127.0.0.0/8"]}'


@dataclass
class RealWorker:
    """`python -m videofleet_worker` as the pod has it; what World needs of a worker."""

    host: str
    process: subprocess.Popen[bytes]
    assigned: list[str] = field(default_factory=list)
    sets: list[object] = field(default_factory=list)

    async def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)


class Plant(World):
    """A namespace whose pods are real worker processes over one folder of an archive."""

    def __init__(self, session: ApiSession, namespace: str, folder: Path) -> None:
        super().__init__(session, namespace)
        self.archive = folder / "archive"
        self._folder = folder

    async def _run_pod(self, pod: Json) -> bool:
        name, host = pod["metadata"]["name"], next(ADDRESSES)
        secret = await self.api.get(SECRETS, self.namespace, worker_tls_secret_name(name))
        if secret is None:
            return False
        tls = self._folder / name
        await asyncio.to_thread(write_files, tls, {key: base64.b64decode(text) for key, text in secret["data"].items()})
        container = pod["spec"]["containers"][0]
        given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        changed = {
            "worker_id": name,
            "archive": str(self.archive),
            "tls_dir": str(tls),
            "listen": host,
            "scratch": str(self._folder),
            "source_policy": LOOPBACK,
            "output_policy": LOOPBACK,
        }
        self.workers[name] = await asyncio.to_thread(
            _launch, host, environment(*WORKER, variables=given, **changed), self._folder / f"{name}.log"
        )
        await eventually(lambda: _answers(host), f"worker {name} answers", 240)
        await self.tell_running(name, host)
        return True

    async def lose(self, name: str) -> None:
        """SIGKILL a worker, and delete its pod, as when its node dies; no other pod comes for it."""
        self.holding = True
        await self.workers[name].stop()
        await self.api.delete(PODS, self.namespace, name, grace_seconds=0)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """A folder as a mounted Secret is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _launch(host: str, environment: dict[str, str], log: Path) -> RealWorker:
    with log.open("ab") as output:
        command = [sys.executable, "-m", "videofleet_worker"]
        return RealWorker(host, subprocess.Popen(command, env=environment, stdout=output, stderr=output))


async def _answers(host: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://{host}:{WORKER_PLAIN_PORT}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def simulator() -> Iterator[CameraSimulator]:
    with CameraSimulator() as running:
        yield running


@pytest.fixture
async def plant(api: ApiSession, shared: Shared, tmp_path: Path) -> AsyncIterator[Plant]:  # noqa: F811 - a fixture
    """One worker, ready, in a namespace that the operator serves."""
    opened = Plant(api, shared.next(), tmp_path)
    await opened.open()
    await opened.pool(minWorkers=1, maxWorkers=1)
    await opened.until_workers(1, timeout=300)
    yield opened
    await opened.close()


@pytest.fixture
async def gateway(plant: Plant, kubeconfig: str, tmp_path: Path) -> AsyncIterator[Served]:  # noqa: F811 - a fixture
    """A gateway whose first project is the namespace of the plant."""
    port = free_port()
    config = settings(
        tmp_path,
        archive=str(plant.archive),
        source_policy=POLICY,
        v_port=port,
        staging_url=f"http://127.0.0.1:{port}",
    )
    async with served(config, from_kubeconfig(kubeconfig), plant.namespace) as one:
        yield one
