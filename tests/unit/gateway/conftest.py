"""A gateway of the test's own, and the server of the API that it watches."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.authority import Keys
from tests.support.gateway import JobApi, Served, served_over
from tests.support.pools import PoolOfOne, real_pool
from tests.support.worker_client import WorkerProcess


@pytest.fixture
async def api() -> AsyncIterator[JobApi]:
    async with JobApi() as server:
        yield server


@pytest.fixture
async def gateway(api: JobApi, tmp_path: Path) -> AsyncIterator[Served]:
    async with served_over(api, tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.made(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[WorkerProcess]:
    """A real worker of the module's own."""
    with WorkerProcess(tmp_path_factory.mktemp("worker") / "archive", keys.server) as running:
        yield running


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolOfOne]:
    """A real worker with two slots, for all tests that do it no harm."""
    with real_pool(tmp_path_factory.mktemp("pool"), capacity=2) as running:
        yield running


@pytest.fixture
async def seeing(api: JobApi, pool: PoolOfOne, tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway that has that worker look at pictures."""
    pool.tell(api)
    policy = {"allowedCidrs": ["127.0.0.0/8"]}
    async with served_over(api, tmp_path, worker_tls=pool.gateway_tls, source_policy=policy) as one:
        yield one
