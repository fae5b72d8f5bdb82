"""Pools that were stored before the schema was narrowed, with a real API server."""

import copy
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from kubernetes import client
from kubernetes.dynamic import DynamicClient

from tests.cluster.operator.conftest import CRDS
from tests.cluster.operator.harness import POOLS, World, eventually
from tests.support.kubectl import conditions
from videofleet_kube import ApiSession
from videofleet_kube.errors import ApiError

Schema = dict[str, Any]
WIDER = 4096
"""More slots of a worker than the schema takes."""


@pytest.fixture
def set_limit(connection: client.ApiClient) -> Iterator[Callable[[int | None], None]]:
    """Changes the limit of capacityPerWorker in the CRD; None, and the end of the test: as it is in this checkout.

    After each change the server refuses for a moment whatever is about pools.
    """
    own: Schema = yaml.safe_load((CRDS / "workerpools.yaml").read_text(encoding="utf-8"))
    dynamic = DynamicClient(connection)
    resource = dynamic.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")

    def change(limit: int | None) -> None:
        body = copy.deepcopy(own)
        if limit is not None:
            _capacity(body)["maximum"] = limit
        dynamic.server_side_apply(resource, body, field_manager="videofleet-tests", force_conflicts=True)

    yield change
    change(None)


def _capacity(crd: Schema) -> Schema:
    spec: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found: Schema = spec["properties"]["capacityPerWorker"]
    return found


async def _takes(world: World) -> bool:
    """Whether the server takes a pool whose workers have more slots than the operator's model knows."""
    try:
        await world.edit(POOLS, world.pool_name, capacityPerWorker=WIDER)
    except ApiError:
        return False
    return True


async def _refuses(world: World, values: Iterator[int]) -> bool:
    """Whether it takes no change to such a value any more; what is stored stays.

    Each try needs another value: one that was taken and comes again is no change, and passes for ever.
    """
    try:
        await world.edit(POOLS, world.pool_name, capacityPerWorker=next(values))
    except ApiError:
        return True
    return False


@pytest.mark.alone
async def test_a_pool_that_cannot_be_read_keeps_what_it_has_and_says_so(
    world: World, api: ApiSession, set_limit: Callable[[int | None], None]
) -> None:
    await world.pool(capacityPerWorker=2)
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    pod = (await world.pods())[0]["metadata"]["uid"]

    set_limit(WIDER)
    await eventually(partial(_takes, world), "the wider schema is in force", interval=0.5)
    set_limit(None)
    await eventually(
        partial(_refuses, world, itertools.count(WIDER - 1, -1)), "the narrower schema is in force again", interval=0.5
    )

    async def told() -> Schema | None:
        status = await world.status(world.pool_name, POOLS)
        return status if conditions(status).get("Stalled") == "True" else None

    status = await eventually(told, "the pool says that its spec cannot be read")
    stalled = next(each for each in status["conditions"] if each["type"] == "Stalled")
    assert stalled["reason"] == "InvalidSpec"
    assert stalled["message"] == "spec.capacityPerWorker: Input should be less than or equal to 1024"
    assert conditions(status) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    stored = await api.get(POOLS, world.namespace, world.pool_name)
    assert stored is not None
    assert status["observedGeneration"] == stored["metadata"]["generation"]
    assert [each["metadata"]["uid"] for each in await world.pods()] == [pod]
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]

    await world.edit(POOLS, world.pool_name, capacityPerWorker=2)

    async def healed() -> bool:
        return conditions(await world.status(world.pool_name, POOLS)).get("Ready") == "True"

    await eventually(healed, "the pool is as it was")
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]
