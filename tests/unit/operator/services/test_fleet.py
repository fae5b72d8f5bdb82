"""The sessions to all worker pods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from tests.support.domain import pool
from tests.support.simulated_worker import SimulatedWorker
from tests.unit.kube.helpers import ManualClock, eventually
from tests.unit.operator.services.conftest import NOW, Payload, StartWorker
from videofleet_api.protocol import JobSource, JobSpec
from videofleet_api.steps import Analytics, Step
from videofleet_operator.services import pki
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.objects import Meta, NodeObject, PodObject
from videofleet_operator.services.wanted import Wanted

POOL = pool(capacityPerWorker=5)
SPEC = JobSpec(source=JobSource(url="rtsp://camera/1"), analytics=[Analytics(steps=[Step(model="detect")])])


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
        self._made: list[Fleet] = []
        self.fleet = self.on_port(1)

    def on_port(self, port: int) -> Fleet:
        self.fleet = Fleet(self._http, self._tls, term=lambda: 1, changed=lambda: None, clock=self.clock, port=port)
        self._made.append(self.fleet)
        return self.fleet

    async def close(self) -> None:
        for fleet in self._made:
            await fleet.close()

    async def reach(self, worker: SimulatedWorker) -> Fleet:
        fleet = self.on_port(worker.port)
        fleet.follow([pod()])
        await eventually(lambda: fleet.connected == 1)
        return fleet


@pytest.fixture
async def made(http: aiohttp.ClientSession, authority: pki.KeyPair) -> AsyncIterator[Made]:
    opened = Made(http, authority)
    yield opened
    await opened.close()


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


@pytest.mark.parametrize(("nodes", "died"), [({"node-1"}, True), ({"node-2"}, False)])
async def test_a_process_on_a_lost_node_did_not_die_by_itself(made: Made, nodes: set[str], died: bool) -> None:
    found = pod(died=True)
    known = {name: NodeObject(replace(found.meta, name=name), ready=False, schedulable=True) for name in nodes}
    assert made.fleet.worker(found, POOL, known).died is died


async def test_a_worker_that_is_not_named_gets_an_empty_set(made: Made, start_worker: StartWorker) -> None:
    simulated = await start_worker()
    fleet = await made.reach(simulated)
    fleet.assign({"somebody-else": {}})
    await eventually(lambda: simulated.sets)
    assert simulated.sets[-1].entries == []


async def test_a_worker_of_an_isolating_pool_is_spent_once_it_had_a_job(made: Made, start_worker: StartWorker) -> None:
    own = pool(isolation="pod", capacityPerWorker=5)
    simulated = await start_worker()
    fleet = await made.reach(simulated)
    assert not fleet.worker(pod(), own, {}).spent
    assert fleet.worker(pod(restarts=1), own, {}).spent, "the process before may have had one"
    fleet.assign({"uid-pool-0-0": {"u": Wanted("video", "camera", 1, 1, "d", "", Payload(SPEC), simulated.instance)}})
    await eventually(lambda: simulated.assigned)
    fleet.assign({})
    await eventually(lambda: not simulated.assigned)
    assert fleet.worker(pod(), own, {}).spent
    assert not fleet.worker(pod(), POOL, {}).spent, "one that is shared never is"
    # The next leader learns it from the worker, also from one that runs nothing any more.
    other = await made.reach(simulated)
    assert other.worker(pod(), own, {}).spent


async def test_an_isolated_worker_that_was_not_reached_yet_is_for_one_job(made: Made) -> None:
    assert made.fleet.worker(pod(), pool(isolation="pod", capacityPerWorker=5), {}).capacity == 1


async def test_a_worker_is_the_same_object_while_nothing_is_new_of_it(made: Made) -> None:
    node = NodeObject(Meta("uid-n", "", "node-1", "1", 1, 0.0, False), ready=True, schedulable=True)
    made.fleet.follow([pod()])
    first = made.fleet.worker(pod(), POOL, {"node-1": node})
    made.clock.now += 1
    assert made.fleet.worker(pod(), POOL, {"node-1": replace(node, ready=False)}) is first
    assert made.fleet.worker(pod(), POOL, {"node-1": replace(node, schedulable=False)}).cordoned
    made.clock.now += 30
    assert made.fleet.worker(pod(), POOL, {"node-1": node}).silent_for == 31, (
        "how long it is silent tells something now"
    )
