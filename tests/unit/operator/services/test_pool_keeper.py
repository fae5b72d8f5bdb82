"""What a WorkerPool's status tells of what cannot be."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.domain import snapshot
from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import ManualClock, eventually
from tests.unit.operator.services.conftest import NOW as TODAY
from videofleet_kube import ApiSession
from videofleet_kube.events import EventRecorder
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.tally import Tally
from videofleet_operator.services import pki, pools
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.budgets import BudgetKeeper
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.gather import pool_of
from videofleet_operator.services.pools import PoolKeeper
from videofleet_operator.services.worker_keys import WorkerKeys

POOLS = "apis/videofleet.io/v1alpha1/workerpools"
PODS = "api/v1/pods"


class Made:
    """A keeper over caches that the test fills."""

    def __init__(self, api: FakeApi, session: ApiSession, http: aiohttp.ClientSession, authority: pki.KeyPair) -> None:
        self.api = api
        self.caches = Caches.of(session, None, lambda: None)
        self.queue = WriteQueue(session, lambda: True)
        tls = client_context(authority, TODAY)
        self.fleet = Fleet(http, tls, term=lambda: None, changed=lambda: None, clock=ManualClock())
        announcer = Announcer(EventRecorder(session, "test", "one"))
        keys = WorkerKeys(session, self.queue, authority, lambda: datetime.datetime.now(datetime.UTC))
        budgets = BudgetKeeper(self.caches, self.queue)
        self.keeper = PoolKeeper("image", self.caches, self.fleet, self.queue, announcer, keys, budgets, self._look)

    def put(self, spec: dict[str, Any], **status: Any) -> None:
        body = self.api.put(POOLS, "video", "gpu", spec=spec, metadata={"generation": 2}, status=status)
        self.caches.pools.feed(body)

    def _look(self) -> None:
        known = [pool for source in self.caches.pools.cache.values() if (pool := pool_of(source)) is not None]
        found = snapshot(pools=known)
        self.keeper.reconcile(found, Tally.of(found))

    def look(self) -> None:
        self._look()

    @property
    def making(self) -> list[object]:
        """Pods that are being made, those that wait after a refusal among them."""
        return list(self.keeper._making)

    @property
    def status(self) -> dict[str, Any]:
        (pool,) = self.api.collection(POOLS)
        status: dict[str, Any] = pool.get("status") or {}
        return status

    def condition(self, kind: str) -> tuple[str, str, str] | None:
        found = [each for each in self.status.get("conditions", []) if each["type"] == kind]
        return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else None


@pytest.fixture
async def made(
    api: FakeApi,
    session: ApiSession,
    http: aiohttp.ClientSession,
    authority: pki.KeyPair,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Made]:
    monkeypatch.setattr(pools, "_PAUSE", 0.2)
    opened = Made(api, session, http, authority)
    task = asyncio.create_task(opened.queue.run())
    yield opened
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await opened.fleet.close()


async def test_a_spec_that_cannot_be_read_is_told(made: Made) -> None:
    made.put({"minWorkers": -1}, replicas=2)
    made.look()
    await eventually(lambda: made.condition("Stalled") is not None)
    stalled = made.condition("Stalled")
    assert stalled is not None
    assert stalled[:2] == ("True", "InvalidSpec")
    assert stalled[2].startswith("spec.minWorkers: ")
    assert (made.status["replicas"], made.status["observedGeneration"]) == (2, 2), "what there is stays told"
    await made.queue.idle()
    sent = made.queue.counters.sent
    made.look()
    await made.queue.idle()
    assert made.queue.counters.sent == sent, "the same is not written again"


async def test_a_spec_that_can_be_read_again_is_not_stalled(made: Made) -> None:
    made.put({"minWorkers": -1})
    made.look()
    await eventually(lambda: made.condition("Stalled") is not None)
    await made.queue.idle()
    made.put({"minWorkers": 0})
    made.look()
    await eventually(lambda: (made.condition("Stalled") or ("",))[0] == "False")


async def test_why_a_pod_cannot_be_made_is_told_until_one_is(made: Made) -> None:
    made.api.fail("POST", lambda: refusal(403, "Forbidden", "exceeded quota: pods=1"), path="/secrets")
    made.put({"minWorkers": 1})
    made.look()
    await eventually(lambda: "exceeded quota: pods=1" in (made.condition("Ready") or ("", "", ""))[2])
    assert "worker pod gpu-0-0 cannot be made" in (made.condition("Ready") or ("", "", ""))[2]
    await eventually(lambda: made.api.collection(PODS))
    await eventually(lambda: "exceeded quota" not in (made.condition("Ready") or ("", "", "exceeded quota"))[2])


async def test_a_pool_whose_pods_are_refused_tries_one_at_a_time(made: Made) -> None:
    refused = 0

    def refuse(request: web.Request) -> web.StreamResponse | None:
        nonlocal refused
        if request.method != "POST" or not request.path.endswith("/pods"):
            return None
        refused += 1
        return refusal(403, "Forbidden", "exceeded quota: pods=1")

    made.api.always = refuse
    made.put({"minWorkers": 20, "maxWorkers": 20})
    made.look()
    await eventually(lambda: refused >= 20)
    await eventually(lambda: not made.making or len(made.making) == 1)
    before = refused
    await eventually(lambda: refused >= before + 2)
    assert len(made.making) <= 1
    made.api.always = lambda _: None
    await eventually(lambda: len(made.api.collection(PODS)) == 20)
