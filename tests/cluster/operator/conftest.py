"""The CRDs, the API server of $KUBECONFIG, and operators: one for all tests that leave it alone, or one of their own.

Operators serve only the namespaces of this run, so that nothing else on the cluster matters. Those of the shared
operator are used in turn, because a namespace takes long to go: each test finds its one empty and names its pool anew.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.dynamic import DynamicClient

from tests.cluster.operator.harness import World, eventually, shorten_lease
from tests.cluster.operator.licensing import Licensed, Vendor, only_licence
from tests.support.licences import Signer
from tests.support.operator_process import START_SECONDS, OperatorProcess
from tests.support.waiting import wait_until
from videofleet_kube import ApiSession, from_kubeconfig

CRDS = Path(__file__).resolve().parents[3] / "crds"
LICENSED = {"licensed", "self_licensed"}
"""Fixtures of tests that make the VideoLicense."""
SHARED = 4
"""Namespaces of the shared operator."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A VideoLicense holds for every operator of the cluster, and those that do not know its key start nothing."""
    for item in items:
        if LICENSED & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    path = os.environ.get("KUBECONFIG")
    if not path:
        pytest.fail("KUBECONFIG is not set: these tests need an API server, `make kubeconfig` prints the path of one")
    return path


@pytest.fixture(scope="session")
def connection(kubeconfig: str) -> Iterator[client.ApiClient]:
    configuration = client.Configuration()
    config.load_kube_config(kubeconfig, client_configuration=configuration)
    with client.ApiClient(configuration) as opened:
        yield opened


@pytest.fixture(scope="session")
def crds(connection: client.ApiClient) -> None:
    """The CRDs of this checkout, applied server-side; another manager's fields are taken over."""
    dynamic = DynamicClient(connection)
    resource = dynamic.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    for path in sorted(CRDS.glob("*.yaml")):
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        dynamic.server_side_apply(resource, body, field_manager="videofleet-tests", force_conflicts=True)
        wait_until(partial(_served, connection, body), f"{body['metadata']['name']} is served")


def _served(connection: client.ApiClient, crd: dict[str, Any]) -> bool:
    """Whether objects of a CRD can be listed: for a moment after a change of it they cannot."""
    spec = crd["spec"]
    custom = client.CustomObjectsApi(connection)
    try:
        custom.list_cluster_custom_object(spec["group"], spec["versions"][0]["name"], spec["names"]["plural"], limit=1)
    except client.ApiException as error:
        if error.status in (404, 429, 503):
            return False
        raise
    return True


class Namespaces:
    """Namespaces of this run; all are deleted at its end."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._core = client.CoreV1Api(connection)
        self._run = uuid.uuid4().hex[:6]
        self.made: list[str] = []

    def new(self) -> str:
        """One more."""
        name = f"operator-test-{self._run}-{len(self.made)}"
        self._core.create_namespace({"metadata": {"name": name}})
        self.made.append(name)
        return name

    def delete(self) -> None:
        """Delete all; the cluster does the rest in its own time."""
        for name in self.made:
            self._core.delete_namespace(name)


@pytest.fixture(scope="session")
def namespaces(connection: client.ApiClient, crds: None) -> Iterator[Namespaces]:
    made = Namespaces(connection)
    yield made
    made.delete()


class Shared:
    """The operator that all tests share which do not stop it, and the namespaces that it serves."""

    def __init__(self, process: OperatorProcess, namespaces: list[str]) -> None:
        self.process = process
        self.namespace = namespaces[0]
        """Its own."""
        self._turns = itertools.cycle(namespaces)

    def next(self) -> str:
        """The namespace whose last use is longest ago."""
        return next(self._turns)


@pytest.fixture(scope="session")
def shared(namespaces: Namespaces, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    served = [namespaces.new() for _ in range(SHARED)]
    log = tmp_path_factory.mktemp("shared") / "operator.log"
    process = OperatorProcess(log, kubeconfig, namespace=served[0], namespaces=",".join(served), identity="shared")
    with leading(process):
        yield Shared(process, served)


@contextmanager
def leading(process: OperatorProcess) -> Iterator[None]:
    """An operator that leads while the block runs; its log must be free of tracebacks in the end."""
    process.launch()
    try:
        wait_until(lambda: process.leads or not process.running, "the operator leads", START_SECONDS)
        assert process.running, process.log()
        yield
    finally:
        process.kill()
    assert "Traceback" not in process.log_path.read_text(encoding="utf-8")


@pytest.fixture
async def api(kubeconfig: str, crds: None) -> AsyncIterator[ApiSession]:
    async with ApiSession(from_kubeconfig(kubeconfig), timeout=20.0) as opened:
        yield opened


@pytest.fixture
async def world(api: ApiSession, shared: Shared) -> AsyncIterator[World]:
    """An empty namespace that the shared operator serves."""
    opened = World(api, shared.next())
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def apart(api: ApiSession, namespaces: Namespaces) -> AsyncIterator[World]:
    """A fresh namespace that no operator serves yet."""
    opened = World(api, namespaces.new())
    await opened.open()
    yield opened
    await opened.close()


class Replicas:
    """Operators of one test, in the namespace `apart`."""

    def __init__(self, world: World, folder: Path, kubeconfig: str) -> None:
        self._world = world
        self._folder = folder
        self._kubeconfig = kubeconfig
        self.all: list[OperatorProcess] = []

    def new(self, name: str = "one", kubeconfig: str = "", **settings: str) -> OperatorProcess:
        """One more, not started; it finds the API server by this kubeconfig, or by that of the tests."""
        namespace = self._world.namespace
        given = {"namespace": namespace, "namespaces": namespace, "identity": name, **settings}
        replica = OperatorProcess(self._folder / f"{name}.log", kubeconfig or self._kubeconfig, **given)
        self.all.append(replica)
        return replica

    async def kill(self, replica: OperatorProcess) -> None:
        """As when its node dies; nobody waits for its Lease to run out."""
        replica.kill()
        await shorten_lease(self._world.api, self._world.namespace)

    async def leader(self, name: str = "one", **settings: str) -> OperatorProcess:
        """One more, which leads."""
        replica = self.new(name, **settings)
        await replica.start()
        await eventually(lambda: replica.leads, f"{name} leads")
        return replica


@pytest.fixture
def replicas(apart: World, tmp_path: Path, kubeconfig: str) -> Iterator[Replicas]:
    made = Replicas(apart, tmp_path, kubeconfig)
    yield made
    for replica in made.all:
        replica.kill()
    for replica in made.all:
        assert "Traceback" not in replica.log_path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def vendor(namespaces: Namespaces, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """A licensor whose key the operator of a namespace has."""
    folder = tmp_path_factory.mktemp("vendor")
    signer, namespace, log = Signer.new(), namespaces.new(), folder / "operator.log"
    (folder / "vendor.pem").write_text(signer.public_pem)
    settings = {"namespace": namespace, "namespaces": namespace, "licence_public_keys": str(folder)}
    process = OperatorProcess(log, kubeconfig, identity="licensed", **settings)
    with leading(process):
        yield Vendor(signer, namespace, process)


@pytest.fixture
async def licensed(api: ApiSession, vendor: Vendor) -> AsyncIterator[Licensed]:
    """A pool in the vendor's namespace."""
    async with only_licence(api):
        world = World(api, vendor.namespace)
        await world.open()
        await world.pool()
        await world.until_workers(1)
        yield Licensed(world, vendor.signer)
        await world.close()


@pytest.fixture
async def self_licensed(apart: World, tmp_path: Path) -> AsyncIterator[Licensed]:
    """The namespace `apart`, for replicas whose setting `licence_public_keys` is the test's folder."""
    signer = Signer.new()
    (tmp_path / "vendor.pem").write_text(signer.public_pem)
    async with only_licence(apart.api):
        yield Licensed(apart, signer)
