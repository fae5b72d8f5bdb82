"""A fake API server and a session to it, for every test that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import session_to
from videofleet_kube import ApiSession


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
async def session(api: FakeApi) -> AsyncIterator[ApiSession]:
    async with session_to(api.host) as opened:
        yield opened
