"""Who starts and who gives way, with a real API server, the real operator and simulated workers."""

from collections.abc import AsyncIterator

import pytest

from tests.cluster.operator.conftest import Namespaces, Replicas
from tests.cluster.operator.harness import JOBS, POOLS, World, eventually
from tests.cluster.operator.licensing import Licensed
from videofleet_kube import ApiSession


class TestPreemption:
    async def test_a_more_important_job_takes_the_place_of_the_newest_of_the_least(self, world: World) -> None:
        await world.pool(capacityPerWorker=2, preemption="lower")
        await world.until_workers(1)
        for name in ("old", "new"):
            await world.job(name)
            await world.until(name, "INPROGRESS")
        await world.job("equal")
        await world.until("equal", "AWAITING", "WorkersFull")
        await world.job("urgent", priority=5)
        victim = await world.until("new", "AWAITING", "Preempted")
        assert victim["message"] == "gave its place to a job of priority 5 (urgent)"
        await world.until("urgent", "INPROGRESS")
        assert (await world.until_event("new", "Preempted"))["type"] == "Warning"
        await eventually(lambda: set(world.worker().assigned) == {"old", "urgent"}, "the worker runs these two")
        assert world.phases("old") == ["STARTING", "INPROGRESS"]
        assert world.phases("urgent") == ["AWAITING", "STARTING", "INPROGRESS"]
        await world.delete(JOBS, "urgent")
        await world.until("equal", "INPROGRESS")
        await world.delete(JOBS, "old")
        await world.until("new", "INPROGRESS", epoch=2)
        assert world.phases("new") == ["STARTING", "INPROGRESS", "AWAITING", "STARTING", "INPROGRESS"]

    async def test_where_the_pool_does_not_allow_it_priority_only_waits_first(self, world: World) -> None:
        await world.pool(capacityPerWorker=1)
        await world.until_workers(1)
        await world.job("running")
        await world.until("running", "INPROGRESS")
        await world.job("urgent", priority=5)
        await world.until("urgent", "AWAITING", "WorkersFull")
        await world.edit(POOLS, world.pool_name, preemption="lower")
        await world.until("urgent", "INPROGRESS")
        await world.until("running", "AWAITING", "Preempted")

    async def test_a_slot_of_the_licence_is_a_place_too(self, licensed: Licensed) -> None:
        world = licensed.world
        await licensed.give(licensed.signer.sign(1))
        await licensed.until("True", "Verified")
        await world.edit(POOLS, world.pool_name, preemption="lower")
        await world.job("running")
        await world.until("running", "INPROGRESS")
        await world.job("urgent", priority=5)
        await world.until("urgent", "INPROGRESS")
        await world.until("running", "TOO_MANY_CAMERAS", "LicenceExhausted")
        assert world.phases("running") == ["STARTING", "INPROGRESS", "AWAITING", "TOO_MANY_CAMERAS"]


@pytest.fixture
async def neighbour(api: ApiSession, namespaces: Namespaces) -> AsyncIterator[World]:
    """A second namespace without a pool of its own."""
    opened = World(api, namespaces.new())
    await opened.open()
    yield opened
    await opened.close()


class TestShares:
    async def test_namespaces_take_turns_whoever_came_first(
        self, apart: World, neighbour: World, replicas: Replicas
    ) -> None:
        await _serving(apart, neighbour, replicas, [{"namespace": apart.namespace}])
        ours, theirs = ("a1", "a2", "a3", "a4"), ("b1", "b2", "b3")
        for world, names in ((apart, ours), (neighbour, theirs)):
            for name in names:
                await world.job(name)
            for name in names:
                await world.until(name, "AWAITING", "NoReadyWorker")
        apart.holding = False
        await eventually(lambda: (_running(apart, ours), _running(neighbour, theirs)) == (2, 2), "each has two of four")
        waiting = next(name for name in theirs if neighbour.phases(name) == ["AWAITING"])
        gone = next(name for name in theirs if name != waiting)
        await neighbour.delete(JOBS, gone)
        await neighbour.until(waiting, "INPROGRESS")
        assert _running(apart, ours) == 2, "ours had their share, and theirs was due"
        for name in theirs:
            if name != gone:
                await neighbour.delete(JOBS, name)
        await eventually(lambda: _running(apart, ours) == 4, "nothing stays free for who asks for nothing")

    async def test_the_most_that_a_namespace_gets_is_told_and_can_be_raised(
        self, apart: World, neighbour: World, replicas: Replicas
    ) -> None:
        share = {"namespace": neighbour.namespace, "max": 1}
        await _serving(apart, neighbour, replicas, [share])
        apart.holding = False
        await neighbour.job("b1")
        await neighbour.until("b1", "INPROGRESS")
        await neighbour.job("b2")
        held_back = await neighbour.until("b2", "AWAITING", "NamespaceShareUsed")
        pool = f"{apart.namespace}/{apart.pool_name}"
        expected = f"namespace {neighbour.namespace} holds 1 of the 1 slots that pool {pool} gives it at most"
        assert held_back["message"] == expected
        assert (await neighbour.until_event("b2", "NamespaceShareUsed"))["type"] == "Warning"
        await apart.job("a1")
        await apart.until("a1", "INPROGRESS")
        await apart.edit(POOLS, apart.pool_name, namespaceShares=[{**share, "max": 2}])
        await neighbour.until("b2", "INPROGRESS")


async def _serving(apart: World, neighbour: World, replicas: Replicas, shares: list[dict[str, object]]) -> None:
    """An operator of both namespaces and a pool for both, whose worker does not come up yet."""
    apart.holding = True
    await replicas.leader(namespaces=f"{apart.namespace},{neighbour.namespace}")
    await apart.pool(capacityPerWorker=4, allowedNamespaces=["*"], namespaceShares=shares)


def _running(world: World, names: tuple[str, ...]) -> int:
    return sum(world.last(name).get("phase") == "INPROGRESS" for name in names)
