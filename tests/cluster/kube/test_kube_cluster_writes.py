"""Writes against a real API server, above all how it refuses what was planned on something else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.unit.kube.helpers import Json, eventually
from videofleet_kube import (
    CONFIGMAPS,
    EVENTS,
    PODS,
    ApiSession,
    Create,
    Delete,
    EventRecorder,
    EventSettings,
    Invalid,
    ObjectRef,
    Patch,
    Resource,
    Result,
    WriteQueue,
)
from videofleet_kube.apply import OwnedByAnother
from videofleet_kube.errors import NotFound, TooManyRequests, Unavailable

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)


@pytest.fixture
async def queue(session: ApiSession) -> AsyncIterator[WriteQueue]:
    queue = WriteQueue(session, lambda: True, request_timeout=20.0)
    task = asyncio.create_task(queue.run())
    yield queue
    assert not task.done()
    task.cancel()


@pytest.fixture
async def widgets(session: ApiSession) -> AsyncIterator[Resource]:
    """A custom resource of this test's own, with a status subresource."""
    group = f"t{uuid.uuid4().hex[:8]}.example.com"
    status: Json = {"type": "object", "properties": {"phase": {"type": "string"}, "rate": {"type": "number"}}}
    schema: Json = {"type": "object", "properties": {"spec": {"type": "object"}, "status": status}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    name = f"widgets.{group}"
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    await session.create(DEFINITIONS, None, {"metadata": {"name": name}, "spec": spec})
    try:
        widgets = Resource(group, "v1", "widgets")
        await until_served(session, widgets)
        yield widgets
    finally:
        await session.delete(DEFINITIONS, None, name)


async def until_served(session: ApiSession, widgets: Resource) -> None:
    """Wait until objects of a custom resource can be listed: it may be called established a moment sooner."""
    for _ in range(1200):
        try:
            await session.list(widgets, None)
            return
        except (NotFound, TooManyRequests, Unavailable):
            await asyncio.sleep(0.05)
    pytest.fail(f"{widgets} was not served within a minute")


async def make_widget(session: ApiSession, widgets: Resource, namespace: str) -> Json:
    body = {"apiVersion": widgets.api_version, "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    return await session.create(widgets, namespace, body)


def status_patch(resource: Resource, obj: Json, status: Json, *, check: bool) -> Patch:
    current = {"status": obj["status"]} if "status" in obj else {}
    return Patch(ObjectRef.of(resource, obj), current, {"status": status}, subresource="status", check_version=check)


async def test_a_status_is_written_and_its_answer_is_the_object(
    session: ApiSession, namespace: str, widgets: Resource, queue: WriteQueue
) -> None:
    obj = await make_widget(session, widgets, namespace)
    first = await queue.submit(status_patch(widgets, obj, {"phase": "A", "rate": 1.5}, check=True))
    assert first.result is Result.APPLIED
    assert first.object is not None
    second = await queue.submit(status_patch(widgets, first.object, {"phase": "A", "rate": 2.0}, check=False))
    assert second.result is Result.APPLIED
    third = await queue.submit(status_patch(widgets, second.object or {}, {"phase": "B"}, check=False))
    stored = await session.get(widgets, namespace, "w")
    assert third.object == stored
    assert stored is not None
    assert stored["status"] == {"phase": "B"}


async def test_a_stale_version_is_a_conflict(
    session: ApiSession, namespace: str, widgets: Resource, queue: WriteQueue
) -> None:
    obj = await make_widget(session, widgets, namespace)
    await session.patch(widgets, namespace, "w", {"metadata": {"labels": {"edited": "yes"}}})
    assert (await queue.submit(status_patch(widgets, obj, {"phase": "A"}, check=True))).result is Result.CONFLICT


@pytest.mark.parametrize("check", [True, False], ids=["version checked", "incarnation checked"])
async def test_another_incarnation_is_a_conflict(
    session: ApiSession, namespace: str, widgets: Resource, queue: WriteQueue, check: bool
) -> None:
    """A merge patch of a custom resource's status ignores metadata.uid; the queue's way must not."""
    obj = await make_widget(session, widgets, namespace)
    known = (await queue.submit(status_patch(widgets, obj, {"phase": "A"}, check=True))).object or {}
    await session.delete(widgets, namespace, "w")
    again = await make_widget(session, widgets, namespace)
    await session.patch(widgets, namespace, "w", {"status": {"phase": "new"}}, subresource="status")
    outcome = await queue.submit(status_patch(widgets, known, {"phase": "mine"}, check=check))
    assert outcome.result is Result.CONFLICT
    stored = await session.get(widgets, namespace, "w") or {}
    assert stored["metadata"]["uid"] == again["metadata"]["uid"]
    assert stored["status"] == {"phase": "new"}


async def test_a_merge_patch_alone_would_have_ignored_the_uid(
    session: ApiSession, namespace: str, widgets: Resource
) -> None:
    """Why a patch that checks only the incarnation is a JSON patch. Should this fail one day, it need not be."""
    await make_widget(session, widgets, namespace)
    body = {"metadata": {"uid": str(uuid.uuid4())}, "status": {"phase": "wrong"}}
    written = await session.patch(widgets, namespace, "w", body, subresource="status")
    assert written["status"] == {"phase": "wrong"}


async def test_another_incarnation_of_a_built_in_kind_is_a_conflict(
    session: ApiSession, namespace: str, queue: WriteQueue
) -> None:
    old = await session.create(CONFIGMAPS, namespace, {"metadata": {"name": "m"}, "data": {"k": "1"}})
    await session.delete(CONFIGMAPS, namespace, "m")
    await session.create(CONFIGMAPS, namespace, {"metadata": {"name": "m"}, "data": {"k": "new"}})
    for check in (True, False):
        target = ObjectRef.of(CONFIGMAPS, old)
        write = Patch(target, {"data": old["data"]}, {"data": {"k": "mine"}}, check_version=check)
        assert (await queue.submit(write)).result is Result.CONFLICT
    assert (await queue.submit(Delete(ObjectRef.of(CONFIGMAPS, old)))).result is Result.CONFLICT
    stored = await session.get(CONFIGMAPS, namespace, "m") or {}
    assert stored["data"] == {"k": "new"}


@pytest.mark.parametrize("check", [True, False], ids=["version checked", "incarnation checked"])
async def test_a_value_the_schema_refuses_is_a_failure_for_good(
    session: ApiSession, namespace: str, widgets: Resource, queue: WriteQueue, check: bool
) -> None:
    obj = await make_widget(session, widgets, namespace)
    known = (await queue.submit(status_patch(widgets, obj, {"phase": "A"}, check=True))).object or {}
    outcome = await queue.submit(status_patch(widgets, known, {"phase": 5}, check=check))
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, Invalid)
    assert "status.phase" in str(outcome.error)


async def test_what_is_gone_is_gone(session: ApiSession, namespace: str, queue: WriteQueue) -> None:
    obj = await session.create(CONFIGMAPS, namespace, {"metadata": {"name": "m"}, "data": {}})
    await session.delete(CONFIGMAPS, namespace, "m")
    write = Patch(ObjectRef.of(CONFIGMAPS, obj), {"data": {}}, {"data": {"k": "1"}}, check_version=False)
    assert (await queue.submit(write)).result is Result.GONE
    assert (await queue.submit(Delete(ObjectRef.of(CONFIGMAPS, obj)))).result is Result.GONE


def owned(uid: str) -> Json:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": True}
    return {"metadata": {"name": "w-0", "ownerReferences": [owner]}}


async def test_creates_and_adopts_its_own_only(session: ApiSession, namespace: str, queue: WriteQueue) -> None:
    owner = await session.create(CONFIGMAPS, namespace, {"metadata": {"name": "owner"}})
    uid = owner["metadata"]["uid"]
    create = Create(CONFIGMAPS, namespace, owned(uid), owner_uid=uid)
    first, again = await queue.submit(create), await queue.submit(create)
    assert (first.result, again.result) == (Result.APPLIED, Result.APPLIED)
    assert first.object == again.object
    other = await queue.submit(Create(CONFIGMAPS, namespace, owned(uid), owner_uid=str(uuid.uuid4())))
    assert isinstance(other.error, OwnedByAnother)


async def test_a_deletion_with_grace_answers_with_the_terminating_object(
    session: ApiSession, namespace: str, queue: WriteQueue
) -> None:
    pod: Json = {
        "metadata": {"name": "p", "finalizers": ["example.com/hold"]},
        # Never scheduled: no node has this name.
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "none"},
            "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "localhost/none:none"}],
        },
    }
    obj = await create_when_accounts_exist(session, namespace, pod)
    outcome = await queue.submit(Delete(ObjectRef.of(PODS, obj), grace_seconds=1))
    assert outcome.result is Result.APPLIED
    assert outcome.object is not None
    assert "deletionTimestamp" in outcome.object["metadata"]
    adopting = await queue.submit(Create(PODS, namespace, pod, owner_uid="any"))
    assert adopting.result is Result.CONFLICT
    await session.patch(PODS, namespace, "p", {"metadata": {"finalizers": None}})


async def create_when_accounts_exist(session: ApiSession, namespace: str, pod: Json) -> Json:
    """A new namespace takes pods only once its default service account is there."""
    accounts = Resource("", "v1", "serviceaccounts")
    for _ in range(1200):
        if await session.get(accounts, namespace, "default") is not None:
            break
        await asyncio.sleep(0.05)
    return await session.create(PODS, namespace, pod)


async def test_events_are_stored_counted_and_rewritten(session: ApiSession, namespace: str) -> None:
    obj = await session.create(CONFIGMAPS, namespace, {"metadata": {"name": "m"}})
    recorder = EventRecorder(session, "videofleet-test", "pod-1", settings=EventSettings(spacing=0.0))
    task = asyncio.create_task(recorder.run())
    for count in (1, 2, 3):
        recorder.post(ObjectRef.of(CONFIGMAPS, obj), "ConfigMap", "WorkersFull", f"{count} workers full")
        await eventually(lambda count=count: recorder.sent == count, timeout=60)  # type: ignore[misc]  # bound here
    query = {"fieldSelector": f"involvedObject.uid={obj['metadata']['uid']}"}
    events = (await session.list(EVENTS, namespace, query))["items"]
    assert [(event["count"], event["message"]) for event in events] == [(3, "3 workers full")]
    assert not task.done()
    task.cancel()
