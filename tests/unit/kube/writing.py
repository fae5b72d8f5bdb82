"""A write queue that runs against the fake API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import Json
from videofleet_kube import CONFIGMAPS, ApiSession, ObjectRef, Patch, ThrottleSettings, WriteQueue

MAPS = "api/v1/configmaps"
FAST = ThrottleSettings(rate=1e6, burst=1e6)


@asynccontextmanager
async def running(session: ApiSession, **options: Any) -> AsyncIterator[WriteQueue]:
    options = {"gate": lambda: True, "throttle": FAST, **options}
    queue = WriteQueue(session, **options)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def patch(obj: Json, data: Json, *, check: bool = True) -> Patch:
    """The obj's data made to be `data`."""
    return Patch(ObjectRef.of(CONFIGMAPS, obj), {"data": obj.get("data") or {}}, {"data": data}, check_version=check)


def sent(api: FakeApi, method: str = "PATCH") -> list[Any]:
    return [body for verb, _, body in api.requests if verb == method]
