"""Evictions, as by `kubectl drain`: a pool's workers go a few at a time."""

from typing import Any

import pytest

from tests.cluster.operator.harness import POOLS, World, eventually
from videofleet_kube.errors import TooManyRequests
from videofleet_kube.resources import Resource
from videofleet_operator.services.caches import BUDGETS


async def _allowed(world: World, count: int) -> dict[str, Any]:
    """The pool's budget, once the cluster has found that it allows so many evictions."""

    async def check() -> dict[str, Any] | None:
        budget = await world.api.get(BUDGETS, world.namespace, f"{world.pool_name}-workers") or {}
        status = budget.get("status", {})
        seen = status.get("observedGeneration") == budget.get("metadata", {}).get("generation")
        return budget if seen and status.get("disruptionsAllowed") == count else None

    return dict(await eventually(check, f"{count} evictions are allowed"))


async def _evict(world: World, name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    await world.api.create(Resource("", "v1", f"pods/{name}/eviction"), world.namespace, eviction)


async def test_one_worker_can_be_evicted_at_a_time(world: World) -> None:
    pool = await world.pool(minWorkers=3, maxWorkers=3)
    await world.until_workers(3)
    budget = await _allowed(world, 1)
    assert budget["spec"]["minAvailable"] == 2
    assert budget["metadata"]["ownerReferences"][0]["uid"] == pool["metadata"]["uid"]
    world.holding = True
    first, second, _ = sorted(pod["metadata"]["name"] for pod in await world.pods())
    await _evict(world, first)
    await _allowed(world, 0)
    with pytest.raises(TooManyRequests, match="disruption budget"):
        await _evict(world, second)
    world.holding = False
    await world.until_workers(3)
    await _allowed(world, 1)
    await world.edit(POOLS, world.pool_name, maxUnavailable=2)
    assert (await _allowed(world, 2))["spec"]["minAvailable"] == 1


async def test_the_budget_goes_with_its_pool(world: World) -> None:
    await world.pool()
    await _allowed(world, 1)
    await world.delete(POOLS, world.pool_name)

    async def gone() -> bool:
        return await world.api.get(BUDGETS, world.namespace, f"{world.pool_name}-workers") is None

    await eventually(gone, "the budget is gone")
