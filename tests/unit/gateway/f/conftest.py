"""Clients of F."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import NAMESPACE, JobApi, Served, served_over


@pytest.fixture
async def client(gateway: Served) -> httpx.AsyncClient:
    return gateway.client(port="f_port")


@pytest.fixture
async def alone(api: JobApi, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key, in a namespace for such people."""
    async with served_over(api, tmp_path, f_anonymous_namespace=NAMESPACE) as one:
        yield one.client(None, "f_port")
