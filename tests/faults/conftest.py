"""The API server of $KUBECONFIG, a namespace for each run of a plan, and undisturbed runs to compare with."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.operator.conftest import connection, crds, kubeconfig
from tests.faults.catalogue import UNDISTURBED
from tests.faults.plans import Plan
from tests.faults.stage import Stage
from tests.faults.workloads import Workload
from videofleet_kube import ApiSession, from_kubeconfig

__all__ = ["connection", "crds", "kubeconfig"]
HERE = Path(__file__).parent
Json = dict[str, Any]
Play = Callable[[Plan], Awaitable[Json]]


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does, so that the operators that it has started end too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without FAULTS=all only the short plans; with FAULTS_SEED only what is made from that number.

    FAULTS_SHARD=i/n: every n-th of them, from the i-th on.
    """
    shard, _, shards = os.environ.get("FAULTS_SHARD", "0/1").partition("/")
    ours = [item for item in items if HERE in item.path.parents]
    mark = "seeded" if os.environ.get("FAULTS_SEED") else "" if os.environ.get("FAULTS") == "all" else "short"
    wanted = [item for item in ours if not mark or item.get_closest_marker(mark)]
    mine = wanted[int(shard) :: int(shards)]
    items[:] = [item for item in items if item not in ours or item in mine]


@pytest.fixture(scope="session")
def namespaces(connection: client.ApiClient, crds: None) -> Iterator[Callable[[], str]]:
    """Makes namespaces; all are deleted in the end."""
    core = client.CoreV1Api(connection)
    run = uuid.uuid4().hex[:6]
    made: list[str] = []

    def make() -> str:
        name = f"faults-{run}-{len(made)}"
        core.create_namespace({"metadata": {"name": name}})
        made.append(name)
        return name

    yield make
    for name in made:
        core.delete_namespace(name)


@pytest.fixture
async def api(kubeconfig: str, crds: None) -> AsyncIterator[ApiSession]:
    async with ApiSession(from_kubeconfig(kubeconfig), timeout=20.0) as opened:
        yield opened


@pytest.fixture(scope="session")
def references() -> dict[str, Json]:
    """End states of undisturbed runs, by workload."""
    return {}


@contextmanager
def _alone(lock: Path, needed: bool) -> Iterator[None]:
    """A cluster has one VideoLicense: of the plans that need one, one runs at a time, in whatever process."""
    with lock.open("w") as opened:
        if needed:
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


@pytest.fixture
async def play(
    api: ApiSession,
    kubeconfig: str,
    namespaces: Callable[[], str],
    references: dict[str, Json],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Play:
    """Runs a plan and gives its end state."""
    lock = tmp_path_factory.getbasetemp().parent / "videofleet-licence.lock"
    access = await from_kubeconfig(kubeconfig).load()

    async def run(plan: Plan) -> Json:
        opened = await asyncio.to_thread(lambda: _alone(lock, plan.workload.licensed))
        with opened:
            stage = Stage(plan, api, access, namespaces(), tmp_path / plan.name)
            state = await stage.run()
        unused = stage.unused()
        assert plan.generated or not unused, f"plan {plan.name}: these faults never struck: {unused}"
        return state

    return run


@pytest.fixture
def undisturbed(play: Play, references: dict[str, Json]) -> Callable[[Workload], Awaitable[Json]]:
    """The end state of a workload with which nothing interferes."""

    async def state(workload: Workload) -> Json:
        if workload.name not in references:
            plan = next(plan for plan in UNDISTURBED if plan.workload is workload)
            references[workload.name] = await play(plan)
        return references[workload.name]

    return state
