"""Where kube-scheduler puts workers that ask for a device: by extended resources, and by dynamic resource allocation.

The nodes and their devices are published by the test; no kubelet runs on them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.operator.harness import POOLS, World, eventually
from tests.support.nodes import CLAIM_TEMPLATES, CLAIMS, devices, fake_node, tolerations
from videofleet_kube.resources import Json

WORKERS = 3


@pytest.fixture
async def unplayed(world: World) -> World:
    """A world whose pods stay where the scheduler leaves them."""
    world.holding = True
    return world


async def _bound(world: World, count: int) -> list[Json]:
    """All WORKERS pods, once so many of them have a node."""

    async def check() -> list[Json]:
        pods = await world.pods()
        bound = sum("nodeName" in pod["spec"] for pod in pods)
        return pods if (len(pods), bound) == (WORKERS, count) else []

    return list(await eventually(check, f"{count} of {WORKERS} pods are bound"))


async def _told(world: World, words: str) -> None:
    """Wait until the pool's conditions say this."""

    async def check() -> str:
        status = await world.status(world.pool_name, POOLS)
        messages = [each["message"] for each in status.get("conditions", []) if each["type"] == "Ready"]
        return next((message for message in messages if words in message), "")

    await eventually(check, f"the pool tells: {words}")


@pytest.mark.parametrize("resource", ["nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"])
async def test_a_part_of_a_gpu_is_asked_for_by_the_name_that_the_node_gives_it(unplayed: World, resource: str) -> None:
    async with fake_node(unplayed.api, {resource: "2", "nvidia.com/gpu": "0"}) as node:
        await unplayed.pool(
            minWorkers=WORKERS,
            maxWorkers=WORKERS,
            accelerator={"type": "nvidia", "resourceName": resource},
            nodeSelector=node.selector,
            tolerations=tolerations(node),
        )
        pods = await _bound(unplayed, 2)
        assert {pod["spec"].get("nodeName") for pod in pods} == {node.name, None}
        await _told(unplayed, f"Insufficient {resource}")


async def test_a_device_is_allocated_to_the_claim_of_each_worker(unplayed: World) -> None:
    api, namespace = unplayed.api, unplayed.namespace
    async with fake_node(api) as node, devices(api, node, ["gpu-0", "gpu-1"]) as device_class:
        request = {"name": "gpu", "exactly": {"deviceClassName": device_class, "count": 1}}
        template = {"metadata": {"name": "one-gpu"}, "spec": {"spec": {"devices": {"requests": [request]}}}}
        await api.create(CLAIM_TEMPLATES, namespace, template)
        await unplayed.pool(
            minWorkers=WORKERS,
            maxWorkers=WORKERS,
            accelerator={"type": "nvidia", "resourceClaimTemplateName": "one-gpu"},
            nodeSelector=None,
            tolerations=tolerations(node),
        )
        pods = await _bound(unplayed, 2)
        allocated = [await _allocation(unplayed, pod) for pod in pods if "nodeName" in pod["spec"]]
        assert sorted(device["device"] for device in allocated) == ["gpu-0", "gpu-1"]
        assert {device["pool"] for device in allocated} == {node.name}
        assert pods[0]["spec"]["containers"][0]["resources"]["claims"] == [{"name": "accelerator"}]
        await _told(unplayed, "cannot allocate all claims")
        await api.delete(CLAIM_TEMPLATES, namespace, "one-gpu")


async def _allocation(world: World, pod: Json) -> Json:
    """The device that was given to a pod's claim."""
    (made,) = pod["status"]["resourceClaimStatuses"]
    assert made["name"] == "accelerator"
    claim: dict[str, Any] = await world.api.get(CLAIMS, world.namespace, made["resourceClaimName"]) or {}
    assert [each["uid"] for each in claim["status"]["reservedFor"]] == [pod["metadata"]["uid"]]
    (device,) = claim["status"]["allocation"]["devices"]["results"]
    return dict(device)
