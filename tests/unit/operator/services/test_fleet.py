"""The sessions to all worker pods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from tests.support.domain import pool
from tests.support.simulated_worker import SimulatedWorker
from tests.unit.operator.kube.helpers import ManualClock, eventually
from tests.unit.operator.services.conftest import NOW, StartWorker
from videofleet_operator.services import pki
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.objects import Meta, NodeObject, PodObject

POOL = pool(capacityPerWorker=5)


def pod(name: str = "pool-0-0", **fields: object) -> PodObject:
    meta = Meta(f"uid-{name}", "video", name, "1", 1, 0.0, False)
    made = PodObject(meta, POOL.uid, 0, 0, "digest", "node-1", "127.0.0.1", "Running", True, True, 0, "")
    return replace(made, **fields)


class Made:
    """A fleet on a clock that stands still."""

    def __init__(self, http: aiohttp.ClientSession, authority: pki.KeyPair) -> None:
        self.clock = ManualClock()
        self._http = http
        self._tls = client_context(authority, NOW)
        self.fleet = self.on_port(1)

    def on_port(self, port: int) -> Fleet:
        self.fleet = Fleet(self._http, self._tls, term=lambda: 1, changed=lambda: None, clock=self.clock, port=port)
        return self.fleet

    async def reach(self, worker: SimulatedWorker) -> Fleet:
        fleet = self.on_port(worker.port)
        fleet.follow([pod()])
        await eventually(lambda: fleet.connected == 1)
        return fleet


@pytest.fixture
async def made(http: aiohttp.ClientSession, authority: pki.KeyPair) -> AsyncIterator[Made]:
    opened = Made(http, authority)
    yield opened
    await opened.fleet.close()


async def test_only_pods_that_run_are_dialled(made: Made) -> None:
    made.fleet.follow([pod("a", phase="Pending"), pod("b", ip=None), pod("c", phase="Failed"), pod("d")])
    assert [made.fleet.session(f"uid-{name}") is not None for name in "abcd"] == [False, False, False, True]
    made.fleet.follow([])
    assert made.fleet.session("uid-d") is None


async def test_a_pod_with_another_address_is_dialled_anew(made: Made) -> None:
    made.fleet.follow([pod()])
    first = made.fleet.session("uid-pool-0-0")
    made.fleet.follow([pod()])
    assert made.fleet.session("uid-pool-0-0") is first
    made.fleet.follow([pod(ip="127.0.0.2")])
    assert made.fleet.session("uid-pool-0-0") is not first


async def test_before_it_was_reached_a_worker_is_what_its_pool_says(made: Made) -> None:
    worker = made.fleet.worker(pod(), POOL, {})
    assert (worker.name, worker.pool, worker.id, worker.capacity) == ("pool-0-0", "default/p", "uid-pool-0-0", 5)
    assert (worker.instance, worker.connected, worker.leaving, worker.reports) == (None, False, False, {})


async def test_a_worker_tells_what_it_can(made: Made, start_worker: StartWorker) -> None:
    simulated = await start_worker(capacity=3)
    fleet = await made.reach(simulated)
    worker = fleet.worker(pod(), POOL, {})
    assert (worker.instance, worker.connected, worker.capacity) == (simulated.instance, True, 3)
    assert worker.steps == {"detect", "track"}
    made.clock.now += 4
    assert fleet.worker(pod(), POOL, {}).silent_for <= 4


async def test_a_worker_that_can_not_be_reached_grows_silent(made: Made) -> None:
    """Also for an operator that has never heard of it: its jobs must not wait for ever."""
    made.fleet.follow([pod()])
    assert made.fleet.worker(pod(), POOL, {}).silent_for == 0
    made.clock.now += 31
    worker = made.fleet.worker(pod(), POOL, {})
    assert (worker.silent_for, worker.connected) == (31, False)


@pytest.mark.parametrize(
    ("found", "nodes", "leaving"),
    [
        (pod(), {}, False),
        (pod(phase="Failed"), {}, True),
        (pod(phase="Succeeded"), {}, True),
        (pod(meta=replace(pod().meta, deleting=True)), {}, True),
        (pod(), {"node-1"}, False),
        (pod(), {"node-2"}, True),
        (pod(node=None), {"node-2"}, False),
    ],
)
async def test_when_a_worker_is_leaving(made: Made, found: PodObject, nodes: set[str], leaving: bool) -> None:
    known = {name: NodeObject(replace(found.meta, name=name), ready=False, schedulable=True) for name in nodes}
    assert made.fleet.worker(found, POOL, known).leaving is leaving


async def test_a_worker_that_is_not_named_gets_an_empty_set(made: Made, start_worker: StartWorker) -> None:
    simulated = await start_worker()
    fleet = await made.reach(simulated)
    fleet.assign({"somebody-else": {}})
    await eventually(lambda: simulated.sets)
    assert simulated.sets[-1].entries == []
