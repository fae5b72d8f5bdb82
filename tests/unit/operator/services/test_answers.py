"""What the operator's endpoint answers, to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from tests.support.domain import assigned, job, pool, record, snapshot, worker
from videofleet_api.explain import Explanation, Queue, Refused, Top
from videofleet_api.phases import Phase
from videofleet_operator.domain.planner import plan
from videofleet_operator.services.answers import Answers
from videofleet_operator.services.health import HealthServer

FULL = worker("a", capacity=1)
CLUSTER = snapshot(
    [
        job("running", record(Phase.INPROGRESS, worker=assigned(FULL)), namespace="rich"),
        job("camera-uid", record(Phase.AWAITING)),
        job("theirs", record(Phase.AWAITING), namespace="rich"),
    ],
    [FULL],
    [pool(allowedNamespaces=["*"])],
)


class Asked:
    """A replica that answers, over its real server."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.leads = True
        self.leader = "videofleet-operator-7"
        self.answers = Answers(lambda: self.leads, lambda: self.leader)
        self.server = HealthServer(
            "127.0.0.1",
            0,
            CollectorRegistry(),
            live=lambda: None,
            ready=lambda: None,
            routes=self.answers.routes(),
        )
        self.port = 0
        self._http = http

    async def get(self, path: str) -> tuple[int, Any]:
        async with self._http.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.json()


@pytest.fixture
async def asked(http: aiohttp.ClientSession) -> AsyncIterator[Asked]:
    made = Asked(http)
    made.port = await made.server.start()
    made.answers.renew(CLUSTER, plan(CLUSTER).waiting)
    yield made
    await made.server.close()


async def test_who_knows_the_uid_of_a_job_is_told_why_it_waits(asked: Asked) -> None:
    status, body = await asked.get("/v1/explain/default/camera-uid?uid=camera-uid")
    assert status == 200
    told = Explanation.model_validate(body)
    assert told.summary == "1 worker full; position 1 of 2"


@pytest.mark.parametrize("uid", ["", "?uid=wrong", "?uid=running"])
async def test_who_does_not_know_it_is_told_nothing(asked: Asked, uid: str) -> None:
    status, body = await asked.get(f"/v1/explain/default/camera-uid{uid}")
    assert status == 404
    assert Refused.model_validate(body).error.startswith("this operator knows no VideoJob default/camera-uid")


async def test_a_uid_opens_its_namespace(asked: Asked) -> None:
    status, body = await asked.get("/v1/queue?uid=camera-uid&uid=unknown")
    assert status == 200
    assert [each.name for each in Queue.model_validate(body).jobs] == ["camera-uid"]
    status, body = await asked.get("/v1/top?uid=uid-p")
    assert status == 200
    told = Top.model_validate(body)
    assert [each.name for each in told.jobs] == ["camera-uid"]
    assert told.pools[0].slots_used == 1


@pytest.mark.parametrize("path", ["/v1/queue", "/v1/top", "/v1/top?uid=unknown"])
async def test_without_a_uid_nothing_is_opened(asked: Asked, path: str) -> None:
    status, body = await asked.get(path)
    assert status == 404
    assert Refused.model_validate(body).error.startswith("give at least one uid of a VideoJob or WorkerPool")


@pytest.mark.parametrize("path", ["/v1/explain/default/camera-uid?uid=camera-uid", "/v1/queue", "/v1/top"])
async def test_who_does_not_lead_names_who_does(asked: Asked, path: str) -> None:
    asked.leads = False
    status, body = await asked.get(path)
    assert status == 503
    refused = Refused.model_validate(body)
    assert refused.leader == "videofleet-operator-7"
    assert refused.error.endswith("videofleet-operator-7 leads")
    asked.leader = ""
    assert Refused.model_validate((await asked.get(path))[1]).error.endswith("nobody leads yet")
