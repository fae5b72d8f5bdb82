"""Deleting jobs that are over: the version that was decided on, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from tests.support.domain import job
from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import ManualClock, eventually
from videofleet_kube import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.services.expiry import Expiry
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.objects import project_job

COLLECTION = "apis/videofleet.io/v1alpha1/videojobs"


class Made:
    """One job, and whoever deletes it."""

    def __init__(self, api: FakeApi, session: ApiSession) -> None:
        self.api = api
        self.clock = ManualClock()
        self.changes = 0
        self.queue = WriteQueue(session, lambda: True)
        self.expiry = Expiry(self.queue, self._changed, self.clock)
        source = project_job(api.put(COLLECTION, "video", "clip", spec={}))
        self.uid = source.meta.uid
        self.known: Mapping[str, KnownJob] = {
            self.uid: KnownJob(source, (), replace(job(self.uid), name="clip"), lambda _: None)
        }

    def _changed(self) -> None:
        self.changes += 1

    def delete(self) -> None:
        self.expiry.delete([self.uid], self.known)

    @property
    def deletions(self) -> int:
        return sum(method == "DELETE" for method, _, _ in self.api.requests)


@pytest.fixture
async def made(api: FakeApi, session: ApiSession) -> AsyncIterator[Made]:
    one = Made(api, session)
    task = asyncio.create_task(one.queue.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_deleted_once(made: Made) -> None:
    made.delete()
    made.delete()
    await eventually(lambda: (COLLECTION, "video", "clip") not in made.api.objects)
    await made.queue.idle()
    made.delete()
    await made.queue.idle()
    assert made.deletions == 1


async def test_one_that_was_edited_meanwhile_stays(made: Made) -> None:
    made.api.put(COLLECTION, "video", "clip", metadata={"labels": {"keep": "me"}})
    made.delete()
    await eventually(lambda: made.changes == 1)
    assert (COLLECTION, "video", "clip") in made.api.objects


async def test_a_refused_deletion_is_tried_again_later(made: Made) -> None:
    made.api.fail("DELETE", lambda: refusal(403, "Forbidden", "no"))
    made.delete()
    await eventually(lambda: made.deletions == 1)
    await made.queue.idle()
    made.delete()
    await made.queue.idle()
    assert made.deletions == 1
    made.clock.now += 5
    made.delete()
    await eventually(lambda: (COLLECTION, "video", "clip") not in made.api.objects)
