"""Creating, adopting and deleting through the write queue."""

from __future__ import annotations

import pytest

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.writing import MAPS, running, sent
from videofleet_kube import (
    CONFIGMAPS,
    ApiSession,
    Create,
    Delete,
    ObjectRef,
    Priority,
    Result,
)
from videofleet_kube.apply import OwnedByAnother
from videofleet_kube.operations import key_of

OWNED = {"name": "w-0", "ownerReferences": [{"uid": "pool-1", "controller": True, "kind": "X", "name": "x"}]}


async def test_creates_and_adopts_its_own(api: FakeApi, session: ApiSession) -> None:
    create = Create(CONFIGMAPS, "a", {"metadata": OWNED}, owner_uid="pool-1")
    async with running(session) as queue:
        first = await queue.submit(create)
        again = await queue.submit(create)
        assert (first.result, again.result) == (Result.APPLIED, Result.APPLIED)
        assert first.object == again.object
        assert (await queue.submit(Create(CONFIGMAPS, "a", {"metadata": OWNED}))).result is Result.CONFLICT


async def test_what_belongs_to_another_is_not_adopted(api: FakeApi, session: ApiSession) -> None:
    api.put(MAPS, "a", "w-0", metadata=OWNED)
    async with running(session) as queue:
        outcome = await queue.submit(Create(CONFIGMAPS, "a", {"metadata": OWNED}, owner_uid="pool-2"))
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, OwnedByAnother)
    assert "its controller is pool-1, expected pool-2" in str(outcome.error)
    assert not outcome.retryable


async def test_what_is_being_deleted_is_a_conflict(api: FakeApi, session: ApiSession) -> None:
    api.put(MAPS, "a", "w-0", metadata={**OWNED, "deletionTimestamp": "2026-01-01T00:00:00Z"})
    async with running(session) as queue:
        outcome = await queue.submit(Create(CONFIGMAPS, "a", {"metadata": OWNED}, owner_uid="pool-1"))
    assert outcome.result is Result.CONFLICT


async def test_deletes_this_incarnation_only(api: FakeApi, session: ApiSession) -> None:
    old = api.put(MAPS, "a", "one")
    api.remove(MAPS, "a", "one")
    new = api.put(MAPS, "a", "one")
    async with running(session) as queue:
        assert (await queue.submit(Delete(ObjectRef.of(CONFIGMAPS, old)))).result is Result.CONFLICT
        assert (await queue.submit(Delete(ObjectRef.of(CONFIGMAPS, new)), Priority.URGENT)).result is Result.APPLIED
    assert api.objects == {}
    assert sent(api, "DELETE")[1]["preconditions"] == {"uid": new["metadata"]["uid"]}


def test_an_object_to_create_needs_its_name() -> None:
    with pytest.raises(ValueError, match=r"metadata\.name"):
        key_of(Create(CONFIGMAPS, "a", {"metadata": {"generateName": "w-"}}))
