"""A gateway of the test's own, and the server of the API that it watches."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import JobApi, Served, served_over


@pytest.fixture
async def api() -> AsyncIterator[JobApi]:
    async with JobApi() as server:
        yield server


@pytest.fixture
async def gateway(api: JobApi, tmp_path: Path) -> AsyncIterator[Served]:
    async with served_over(api, tmp_path) as one:
        yield one
