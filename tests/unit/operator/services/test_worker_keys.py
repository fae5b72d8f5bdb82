"""The Secrets of workers: made before the pod, gone with it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.domain import pool
from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import eventually
from tests.unit.operator.services.conftest import NOW
from videofleet_kube import ApiSession
from videofleet_kube.operations import Result
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.pools import Place
from videofleet_operator.services import pki, podspec
from videofleet_operator.services.objects import PodObject, project_pod
from videofleet_operator.services.worker_keys import WorkerKeys

SECRET = ("api/v1/secrets", "default", "p-0-0-tls")
POD = {"metadata": {"name": "p-0-0", "namespace": "default", "uid": "pod-uid"}}


@pytest.fixture
async def keys(session: ApiSession, authority: pki.KeyPair) -> AsyncIterator[WorkerKeys]:
    queue = WriteQueue(session, lambda: True)
    made = WorkerKeys(session, queue, authority, lambda: NOW)
    tasks = [asyncio.create_task(queue.run()), asyncio.create_task(made.run())]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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


def existing_pod(uid: str = "pod-uid") -> PodObject:
    """The pod as the operator's cache has it."""
    body = podspec.worker_pod(pool(), Place(0, 0), "image", b"authority")
    stored = {**body["metadata"], "uid": uid, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return project_pod({**body, "metadata": stored, "status": {}})


def lookups(api: FakeApi) -> int:
    """How often Secrets were read."""
    return sum(method == "GET" and path.endswith(SECRET[2]) for method, path, _ in api.requests)


async def test_one_that_was_never_handed_over_is_by_the_next_leader(api: FakeApi, keys: WorkerKeys) -> None:
    """Its maker was killed between the pod and the hand-over: the Secret would have outlived the pod."""
    api.put(*SECRET, **podspec.tls_secret(pool(), "p-0-0", pki.KeyPair(b"c", b"k"), b"authority"))
    keys.follow([existing_pod()])
    await eventually(lambda: api.objects[SECRET]["metadata"]["ownerReferences"][0]["uid"] == "pod-uid")
    await eventually(lambda: keys.settled)
    keys.follow([existing_pod()])
    assert keys.settled, "it is looked at once"


async def test_one_that_somebody_else_owns_stays_theirs(api: FakeApi, keys: WorkerKeys) -> None:
    left_behind(api)
    keys.follow([existing_pod()])
    await eventually(lambda: keys.settled)
    assert lookups(api) == 1
    assert api.objects[SECRET]["metadata"]["ownerReferences"][0]["uid"] == "earlier-pod"


async def test_what_could_not_be_handed_over_is_tried_again(api: FakeApi, keys: WorkerKeys) -> None:
    made = await keys.make(pool(), "p-0-0")
    assert made.object is not None
    api.faults.append(lambda request: refusal(500, "InternalError") if request.method == "PATCH" else None)
    assert (await keys.hand_over(made.object, POD)).result is Result.FAILED
    keys.follow([existing_pod()])
    await eventually(lambda: api.objects[SECRET]["metadata"]["ownerReferences"][0]["uid"] == "pod-uid")
