"""The Secrets of workers: made before the pod, gone with it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.domain import pool
from tests.unit.operator.kube.fakeapi import FakeApi
from tests.unit.operator.services.conftest import NOW
from videofleet_operator.kube import ApiSession
from videofleet_operator.kube.operations import Result
from videofleet_operator.kube.writes import WriteQueue
from videofleet_operator.services import pki, podspec
from videofleet_operator.services.worker_keys import WorkerKeys

SECRET = ("api/v1/secrets", "default", "p-0-0-tls")
POD = {"metadata": {"name": "p-0-0", "namespace": "default", "uid": "pod-uid"}}


@pytest.fixture
async def keys(session: ApiSession, authority: pki.KeyPair) -> AsyncIterator[WorkerKeys]:
    queue = WriteQueue(session, lambda: True)
    task = asyncio.create_task(queue.run())
    yield WorkerKeys(session, queue, authority, lambda: NOW)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def left_behind(api: FakeApi, **changes: Any) -> dict[str, Any]:
    """A Secret of an earlier pod of the name."""
    body = podspec.tls_secret(pool(), "p-0-0", pki.KeyPair(b"old", b"old"), b"another authority")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p-0-0", "uid": "earlier-pod"}
    body["metadata"] = {**body["metadata"], "ownerReferences": [owner], **changes}
    return api.put(*SECRET, **body)


async def test_it_belongs_to_the_pool_and_then_to_the_pod(api: FakeApi, keys: WorkerKeys) -> None:
    made = await keys.make(pool(), "p-0-0")
    assert made.object is not None
    assert [owner["uid"] for owner in made.object["metadata"]["ownerReferences"]] == ["uid-p"]
    outcome = await keys.hand_over(made.object, POD)
    assert outcome.result is Result.APPLIED
    (owner,) = api.objects[SECRET]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Pod", "pod-uid")
    assert api.objects[SECRET]["data"] == made.object["data"]


async def test_what_an_earlier_pod_left_is_replaced(api: FakeApi, keys: WorkerKeys, authority: pki.KeyPair) -> None:
    old = left_behind(api)
    made = await keys.make(pool(), "p-0-0")
    assert made.object is not None
    assert made.object["metadata"]["uid"] != old["metadata"]["uid"]
    assert made.object["data"] != old["data"]
    assert base64.b64decode(made.object["data"]["ca.crt"]) == authority.certificate


async def test_a_secret_of_somebody_else_is_left_alone(api: FakeApi, keys: WorkerKeys) -> None:
    old = left_behind(api, labels={})
    outcome = await keys.make(pool(), "p-0-0")
    assert (outcome.result, outcome.object) == (Result.FAILED, None)
    assert "expected uid-p" in str(outcome.error)
    assert api.objects[SECRET]["metadata"]["uid"] == old["metadata"]["uid"]
