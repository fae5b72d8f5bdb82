"""The PodDisruptionBudget of each pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.domain import pool
from tests.unit.kube.fakeapi import FakeApi, refusal
from videofleet_kube import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.model import Pool
from videofleet_operator.services.budgets import BudgetKeeper, budget_spec
from videofleet_operator.services.caches import Caches

BUDGETS = "apis/policy/v1/poddisruptionbudgets"
NOW = 1000.0


class Made:
    """A keeper whose cache sees what it writes."""

    def __init__(self, api: FakeApi, session: ApiSession) -> None:
        self.api = api
        self.caches = Caches.of(session, None, lambda: None)
        self.queue = WriteQueue(session, lambda: True)
        self.keeper = BudgetKeeper(self.caches, self.queue)

    async def look(self, of: Pool, workers: int, now: float = NOW) -> None:
        self.keeper.reconcile([(of, workers)], now)
        await self.queue.idle()

    @property
    def budgets(self) -> list[dict[str, Any]]:
        return list(self.api.collection(BUDGETS))


@pytest.fixture
async def made(api: FakeApi, session: ApiSession) -> AsyncIterator[Made]:
    opened = Made(api, session)
    task = asyncio.create_task(opened.queue.run())
    yield opened
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("spec", "workers", "least"),
    [({}, 3, 2), ({}, 1, 0), ({}, 0, 0), ({"maxUnavailable": 2}, 5, 3), ({"maxUnavailable": 0}, 5, 5)],
)
def test_how_many_must_stay(spec: dict[str, Any], workers: int, least: int) -> None:
    assert budget_spec(pool(maxWorkers=5, **spec), workers)["minAvailable"] == least


async def test_a_budget_is_made_and_follows_the_pool(made: Made) -> None:
    gpu = pool("gpu", maxWorkers=5)
    await made.look(gpu, 2)
    (budget,) = made.budgets
    assert budget["metadata"]["name"] == "gpu-workers"
    assert budget["metadata"]["ownerReferences"][0]["uid"] == gpu.uid
    assert budget["spec"] == {
        "minAvailable": 1,
        "selector": {"matchLabels": {"videofleet.io/pool": "gpu"}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    await made.look(gpu, 5)
    assert made.budgets[0]["spec"]["minAvailable"] == 4
    sent = made.queue.counters.sent
    await made.look(gpu, 5)
    assert made.queue.counters.sent == sent, "what is right already is not written"


async def test_a_refused_budget_is_not_tried_all_the_time(made: Made) -> None:
    made.api.fail("POST", lambda: refusal(403, "Forbidden", "no"))
    await made.look(pool(), 2)
    await made.look(pool(), 2, NOW + 30)
    assert (made.queue.counters.sent, made.budgets) == (1, [])
    await made.look(pool(), 2, NOW + 60)
    assert made.budgets
