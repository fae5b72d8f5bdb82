"""Workers that cannot start or end by themselves: the pool says why, and pods are not made in a tight loop."""

from __future__ import annotations

from typing import Any

from tests.cluster.operator.harness import POOLS, World, eventually
from tests.support.nodes import fake_node, tolerations
from videofleet_kube.resources import PODS, Json


async def _only_pod(world: World, bound: bool = False, incarnation: int = 0) -> Json:
    """The pool's one pod, once there is this incarnation of it (on a node)."""

    async def check() -> Json | None:
        pods = [pod for pod in await world.pods() if pod["metadata"]["name"].endswith(f"-0-{incarnation}")]
        return pods[0] if pods and (not bound or "nodeName" in pods[0]["spec"]) else None

    return dict(await eventually(check, f"incarnation {incarnation} is there"))


async def _patch_status(world: World, pod: Json, **status: Any) -> None:
    await world.api.patch(PODS, world.namespace, pod["metadata"]["name"], {"status": status}, subresource="status")


async def _told(world: World, reason: str, words: str) -> Json:
    """The pool's Ready condition once it has this reason and says so."""

    async def check() -> Json | None:
        conditions = (await world.status(world.pool_name, POOLS)).get("conditions", [])
        found = [each for each in conditions if each["type"] == "Ready" and each["reason"] == reason]
        return found[0] if found and words in found[0]["message"] else None

    return dict(await eventually(check, f"the pool tells {reason}: {words}"))


async def test_an_image_that_cannot_be_pulled_is_told_and_left_to_the_kubelet(world: World) -> None:
    world.holding = True
    async with fake_node(world.api) as node:
        await world.pool(nodeSelector=node.selector, tolerations=tolerations(node))
        pod = await _only_pod(world, bound=True)
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        container = {"name": "worker", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
        await _patch_status(world, pod, containerStatuses=[{**container, "state": {"waiting": waiting}}])
        told = await _told(world, "WorkersFailing", "ImagePullBackOff: no such image")
        assert told["message"].startswith("0 of 1 workers are ready")
        assert [each["metadata"]["uid"] for each in await world.pods()] == [pod["metadata"]["uid"]]


async def test_pods_that_end_are_replaced_ever_more_slowly(world: World) -> None:
    world.holding = True
    await world.pool()
    for incarnation in range(3):
        pod = await _only_pod(world, incarnation=incarnation)
        assert pod["metadata"]["annotations"]["videofleet.io/failures"] == str(incarnation)
        await _patch_status(world, pod, phase="Failed", reason="Evicted", message="the node was low on memory")
        await _told(world, "WorkersFailing", "1 failed and are being replaced")
    await _only_pod(world, incarnation=3)
