"""A session to the API server of $KUBECONFIG, and a namespace of each test's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator

import pytest

from videofleet_kube import ApiSession, Resource, from_kubeconfig

NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)


@pytest.fixture
def kubeconfig() -> str:
    path = os.environ.get("KUBECONFIG")
    if not path:
        pytest.fail("KUBECONFIG is not set: these tests need an API server, `make kubeconfig` prints the path of one")
    return path


@pytest.fixture
async def session(kubeconfig: str) -> AsyncIterator[ApiSession]:
    async with ApiSession(from_kubeconfig(kubeconfig), timeout=20.0) as opened:
        yield opened


@pytest.fixture
async def namespace(session: ApiSession) -> AsyncIterator[str]:
    name = f"kube-test-{uuid.uuid4().hex[:8]}"
    await session.create(NAMESPACES, None, {"metadata": {"name": name}})
    yield name
    await session.delete(NAMESPACES, None, name)
