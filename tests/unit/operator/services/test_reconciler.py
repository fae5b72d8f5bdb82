"""The loop of the leader: when it plans, and when it looks again."""

from __future__ import annotations

import asyncio
import base64
import datetime
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.signed_licences import public_pem, sign
from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import eventually
from tests.unit.operator.services.conftest import NOW as TODAY
from videofleet_kube import ApiSession
from videofleet_kube.events import EventRecorder
from videofleet_kube.writes import WriteQueue
from videofleet_operator.config import Config
from videofleet_operator.domain.times import format_time
from videofleet_operator.metrics import Metrics
from videofleet_operator.services import pki, reconciler
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.answers import Answers
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.budgets import BudgetKeeper
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.expiry import Expiry
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.gather import Gatherer
from videofleet_operator.services.licences import LicenceKeeper
from videofleet_operator.services.pools import PoolKeeper
from videofleet_operator.services.reconciler import Reconciler
from videofleet_operator.services.secrets import SecretStore
from videofleet_operator.services.statuses import StatusWriter
from videofleet_operator.services.waits import Waits
from videofleet_operator.services.worker_keys import WorkerKeys

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LICENSES = "apis/videofleet.io/v1alpha1/videolicenses"


class Made:
    """A whole operator without its election: the test says whether it leads."""

    def __init__(
        self, api: FakeApi, session: ApiSession, http: aiohttp.ClientSession, authority: pki.KeyPair, folder: Path
    ) -> None:
        self.api = api
        self.leads = False
        self.dirty = asyncio.Event()
        self.ahead = 0.0
        """Seconds by which the wall clock is ahead of this machine's."""
        self.metrics = Metrics()
        clock, changed = time.monotonic, self.dirty.set
        config = Config(namespace="video", identity="one", worker_image="w", licence_public_keys=folder)
        caches = Caches.of(session, None, changed)
        queue = WriteQueue(session, lambda: self.leads)
        secrets = SecretStore(session, changed, clock)
        announcer = Announcer(EventRecorder(session, "test", "one"))
        licences = LicenceKeeper(config, caches, secrets, queue, self.metrics, lambda: "")
        keys = WorkerKeys(session, queue, authority, lambda: datetime.datetime.now(datetime.UTC))
        tls = client_context(authority, TODAY)
        self.fleet = Fleet(http, tls, term=lambda: None, changed=changed, clock=clock)
        pools = PoolKeeper("image", caches, self.fleet, queue, announcer, keys, BudgetKeeper(caches, queue), changed)
        self.reconciler = Reconciler(
            caches=caches,
            gatherer=Gatherer(caches, self.fleet, secrets, licences.secret_keys, b"k", pools.updates.mark),
            fleet=self.fleet,
            licences=licences,
            statuses=StatusWriter(queue, caches, announcer, self.metrics, changed, clock),
            pools=pools,
            waits=Waits(announcer, clock),
            answers=Answers(lambda: self.leads, lambda: ""),
            finalizer=Finalizer(self.fleet.notes, self.fleet.finalized, changed, (), clock),
            expiry=Expiry(queue, changed, clock),
            metrics=self.metrics,
            leads=lambda: self.leads,
            dirty=self.dirty,
            wall=lambda: time.time() + self.ahead,
        )
        running = (caches.run(), secrets.run(), queue.run(), self.reconciler.run())
        self.tasks = [asyncio.create_task(each) for each in running]

    async def passes(self) -> None:
        """Wait until one more pass was begun and ended."""
        for _ in range(2):
            before = self.reconciler.beat
            self.dirty.set()
            await eventually(functools.partial(self._turned_since, before))

    def _turned_since(self, beat: float) -> bool:
        return self.reconciler.beat > beat

    @property
    def plans(self) -> float | None:
        return self.metrics.registry.get_sample_value("videofleet_plan_seconds_count")

    def valid(self) -> dict[str, Any]:
        (licence,) = self.api.collection(LICENSES)
        conditions = (licence.get("status") or {}).get("conditions") or [{}]
        condition: dict[str, Any] = conditions[0]
        return condition


@pytest.fixture
async def made(
    api: FakeApi, session: ApiSession, http: aiohttp.ClientSession, authority: pki.KeyPair, tmp_path: Path
) -> AsyncIterator[Made]:
    (tmp_path / "vendor.pem").write_bytes(public_pem(KEY))
    opened = Made(api, session, http, authority, tmp_path)
    yield opened
    for task in opened.tasks:
        task.cancel()
    await asyncio.gather(*opened.tasks, return_exceptions=True)
    await opened.fleet.close()


async def test_only_the_leader_plans(made: Made) -> None:
    sample = made.metrics.registry.get_sample_value
    await eventually(lambda: sample("videofleet_workers", {"state": "known"}) is not None)
    await made.passes()
    assert made.plans == 0
    made.leads = True
    made.dirty.set()
    await eventually(lambda: (made.plans or 0) > 0)


async def test_it_wakes_when_the_licence_ends(made: Made, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_TICK", 600.0)
    made.leads = True
    ends = format_time(time.time() + 3600)
    data = {"license": base64.b64encode(sign(KEY, expires=ends)).decode()}
    api.put("api/v1/secrets", "video", "lic", data=data)
    reference = {"namespace": "video", "name": "lic", "key": "license"}
    api.put(LICENSES, "", "default", spec={"secretRef": reference}, metadata={"generation": 1})
    await eventually(lambda: made.valid().get("status") == "True")
    made.ahead = 3598.5
    made.dirty.set()
    await eventually(lambda: made.valid().get("reason") == "Expired")
