"""A whole pass of the leader: gather, plan, apply. Caches, planner and all that keeps books are the real ones.

Workers and the API server are away: sessions only remember what they were given, writes stay in the queue.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import aiohttp

from tests.bench.control.planning import ROUNDS, cluster, running
from tests.bench.control.rows import Row
from tests.support.domain import NOW
from videofleet_api import names
from videofleet_api.finalize import Finalize
from videofleet_api.protocol import WorkerInfo
from videofleet_kube.events import EventRecorder
from videofleet_kube.session import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.config import Config
from videofleet_operator.domain.model import Job, Pool, Snapshot, Worker
from videofleet_operator.domain.status import Shown, to_status
from videofleet_operator.domain.times import format_time
from videofleet_operator.metrics import Metrics
from videofleet_operator.services import payload, pki, podspec
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.answers import Answers
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
from videofleet_operator.services.wanted import Wanted
from videofleet_operator.services.worker_keys import WorkerKeys
from videofleet_operator.services.worker_session import Address, WorkerSession, WorkerState

LATER = 30.0
"""Seconds after the plan that began the streams: all that they began with has settled."""
DIRTY = 0.01
JsonObject = dict[str, Any]
KEY = b"k"


class Line:
    """Stands in for the line to a worker: holds what it said, and what it is to run."""

    def __init__(self, worker: Worker, now: float) -> None:
        info = WorkerInfo(
            id=worker.id,
            instance=worker.instance or "",
            version="0",
            term=1,
            models=[],
            steps=sorted(worker.steps),
            provider="cpu",
            capacity=worker.capacity,
        )
        self.address = Address("default", worker.name, worker.id, "127.0.0.1")
        self.state = WorkerState(info, connected=True, last_line=now, reports=dict(worker.reports), served=True)
        self.jobs: Mapping[str, Wanted] = {}

    def want(self, wanted: Mapping[str, Wanted], _: tuple[Finalize, ...] = ()) -> None:
        """Remember it."""
        self.jobs = wanted


class Lines(Fleet):
    """The fleet of a snapshot's workers, none of which is dialled."""

    def __init__(self, found: Snapshot, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        http, tls = cast(aiohttp.ClientSession, None), ssl.create_default_context()
        super().__init__(http, tls, term=lambda: 1, changed=changed, clock=clock)
        self.lines = {uid: Line(worker, clock()) for uid, worker in found.workers.items()}
        self._sessions.update(cast(Mapping[str, WorkerSession], self.lines))

    @property
    def given(self) -> int:
        """Jobs that all workers together are to run."""
        return sum(len(line.jobs) for line in self.lines.values())


class Leader:
    """A leading operator that is connected to nothing; its caches hold what is in a snapshot."""

    def __init__(self, found: Snapshot) -> None:
        api, dirty, metrics = cast(ApiSession, None), asyncio.Event(), Metrics()
        moment = datetime.datetime.now(datetime.UTC)
        self.now = found.now + LATER
        self.caches = caches = Caches.of(api, None, dirty.set)
        self.queue = queue = WriteQueue(api, lambda: True)
        config = Config(namespace="default", identity="one", worker_image="image")
        secrets = SecretStore(api, dirty.set, self._clock)
        announcer = Announcer(EventRecorder(api, "bench", "one"))
        licences = LicenceKeeper(config, caches, secrets, queue, metrics, lambda: "")
        self.fleet = Lines(found, self._clock, dirty.set)
        keys = WorkerKeys(api, queue, pki.new_authority(moment), lambda: moment)
        pools = PoolKeeper("image", caches, self.fleet, queue, announcer, keys, BudgetKeeper(caches, queue), dirty.set)
        self.reconciler = Reconciler(
            caches=caches,
            gatherer=Gatherer(caches, self.fleet, secrets, licences.secret_keys, KEY, pools.updates.mark),
            fleet=self.fleet,
            licences=licences,
            statuses=StatusWriter(queue, caches, announcer, metrics, dirty.set, self._clock),
            pools=pools,
            waits=Waits(announcer, self._clock),
            answers=Answers(lambda: True, lambda: ""),
            finalizer=Finalizer(self.fleet.notes, self.fleet.finalized, dirty.set, (), self._clock),
            expiry=Expiry(queue, dirty.set, self._clock),
            metrics=metrics,
            leads=lambda: True,
            dirty=dirty,
            wall=self._clock,
        )
        for pool in found.pools.values():
            caches.pools.feed(_pool(pool))
            digest = podspec.template_digest(pool, "image", keys.trust)
            for number, worker in enumerate(each for each in found.workers.values() if each.pool == pool.key):
                caches.pods.feed(_pod(worker, pool, number, digest))
        caches.nodes.feed(_object("node", "node", "", 1, {}))
        for job in found.jobs.values():
            self.feed(job)

    def feed(self, job: Job, version: int = 1) -> None:
        """The job as its watch tells of it."""
        told = payload.build(job.spec, lambda name: None)
        made = payload.digests(told, KEY)
        record = replace(job.record, spec_digest=made.spec, run_digest=made.run, settings=made.settings)
        status = to_status(job, record, Shown(job.spec.source.url), {}, record.since)
        body = _object(job.uid, job.name, job.namespace, version, job.spec.wire())
        self.caches.jobs.feed(body | {"status": status})

    def turn(self) -> float:
        """Seconds of processor time of one pass, a second after the one before."""
        self.now += 1
        for line in self.fleet.lines.values():
            line.state.last_line = self.now
        began = time.process_time()
        self.reconciler.turn()
        return time.process_time() - began

    def _clock(self) -> float:
        return self.now


async def pass_rows(jobs: int = 10_000, workers: int = 1_000) -> list[Row]:
    """What a pass takes where nothing has changed, and where 1 % of the jobs have."""
    found = running(cluster(jobs, workers, pools=1))
    leader, dice = Leader(found), random.Random(1)
    for _ in range(3):
        leader.turn()
    # As a leader does once it has listed all.
    gc.freeze()
    if leader.fleet.given != jobs or leader.queue.depth > 3:
        raise AssertionError(f"{leader.fleet.given} of {jobs} jobs run, {leader.queue.depth} writes wait")
    still = [1000 * leader.turn() for _ in range(ROUNDS)]
    changed = []
    for number in range(ROUNDS):
        for uid in dice.sample(sorted(found.jobs), round(jobs * DIRTY)):
            leader.feed(found.jobs[uid], 2 + number)
        changed.append(1000 * leader.turn())
    what = f"pass of the leader over {jobs} jobs x {workers} workers"
    return [
        Row(f"{what}, nothing changed", "", still, unit="ms CPU"),
        Row(f"{what}, 1 % of the jobs changed", "", changed, unit="ms CPU"),
    ]


def _object(uid: str, name: str, namespace: str, version: int, spec: JsonObject) -> JsonObject:
    metadata = {
        "uid": uid,
        "name": name,
        "namespace": namespace,
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": format_time(NOW),
    }
    return {"metadata": metadata, "spec": spec}


def _pool(pool: Pool) -> JsonObject:
    return _object(pool.uid, pool.name, pool.namespace, 1, pool.spec.wire())


def _pod(worker: Worker, pool: Pool, number: int, digest: str) -> JsonObject:
    body = _object(worker.id, worker.name, "default", 1, {"nodeName": worker.node})
    body["metadata"] |= {
        "labels": {
            names.LABEL_POOL: pool.name,
            names.LABEL_ORDINAL: str(number),
            names.LABEL_INCARNATION: "0",
        },
        "annotations": {names.ANNOTATION_TEMPLATE_DIGEST: digest},
        "ownerReferences": [{"uid": pool.uid, "controller": True}],
    }
    running = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"state": {"running": {}}}]}
    return body | {"status": {"phase": "Running", "podIP": "127.0.0.1", **running}}
