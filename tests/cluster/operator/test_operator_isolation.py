"""Pools that give each job a worker pod of its own."""

import pytest

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, World, eventually
from tests.support.simulated_worker import end, fail, first_frame
from videofleet_api.codes import ErrorCode
from videofleet_kube.resources import PODS


async def _pod_of(world: World, job: str, epoch: int = 1) -> str:
    """uid of the pod that the job runs in."""
    return str((await world.until(job, "INPROGRESS", epoch=epoch))["worker"]["id"])


def _served(world: World) -> dict[str, set[str]]:
    """Jobs that each worker was ever given, by the name of its pod."""
    return {
        name: {entry.name for each in worker.sets for entry in each.entries} for name, worker in world.workers.items()
    }


async def test_each_job_has_a_pod_of_its_own_which_goes_with_it(world: World) -> None:
    await world.pool(isolation="pod", minWorkers=0, maxWorkers=3, scaleDownDelay=3600)
    for name in ("a", "b"):
        await world.job(name, slots=30)
    assert len({await _pod_of(world, "a"), await _pod_of(world, "b")}) == 2
    assert all(len(jobs) == 1 for jobs in _served(world).values())
    await world.job("c")
    await _pod_of(world, "c")
    await world.job("d")
    waiting = await world.until("d", "AWAITING", "WorkersFull")
    assert "3 of 3 slots" in waiting["message"]
    freed = world.last("a")["worker"]["id"]
    await world.delete(JOBS, "a")
    assert await _pod_of(world, "d") != freed
    for name in "bcd":
        await world.delete(JOBS, name)
    await eventually(lambda: not world.workers, "pods that had their job are not kept for the delay")


@pytest.mark.acceptance("F54")
async def test_an_interrupted_job_runs_again_in_a_new_pod(world: World) -> None:
    await world.pool(isolation="pod", minWorkers=0, maxWorkers=1)
    world.scripts["camera"] = [[first_frame(), fail(ErrorCode.NETWORK)], [first_frame()]]
    await world.job("camera")
    await world.until("camera", "INTERRUPTED")
    first = next(seen.status["worker"]["id"] for seen in world.history("camera") if "worker" in seen.status)
    second = await _pod_of(world, "camera", epoch=2)
    assert second != first
    assert [pod["metadata"]["uid"] for pod in await world.pods()] == [second]


async def test_an_edit_and_an_end_cost_the_pod_too(world: World) -> None:
    await world.pool(isolation="pod", minWorkers=0, maxWorkers=1)
    await world.job("file")
    pods = [await _pod_of(world, "file")]
    await world.edit(JOBS, "file", source={"url": "rtsp://camera.example/2"})
    pods.append(await _pod_of(world, "file", epoch=2))
    await world.go_on("file", end())
    await world.until("file", "COMPLETED")
    pods.append(await _pod_of(world, "file", epoch=3))
    assert len(set(pods)) == 3


async def test_a_warm_pod_waits_and_is_used_once(world: World) -> None:
    await world.pool(isolation="pod", minWorkers=1, maxWorkers=2)
    await world.until_workers(1)
    (warm,) = [pod["metadata"]["uid"] for pod in await world.pods()]
    await world.job("first")
    assert await _pod_of(world, "first") == warm
    await world.delete(JOBS, "first")

    async def fresh() -> bool:
        return [pod["metadata"]["name"] for pod in await world.pods()] == [f"{world.pool_name}-0-1"]

    await eventually(fresh, "a fresh one waits")
    await world.job("second")
    assert await _pod_of(world, "second") != warm


async def test_a_container_that_restarted_takes_no_job(world: World) -> None:
    await world.pool(isolation="pod", minWorkers=1, maxWorkers=1)
    await world.until_workers(1)
    (before,) = await world.pods()
    restarted = {"name": "worker", "image": "i", "imageID": "i", "ready": True, "restartCount": 1, "started": True}
    status = {"status": {"containerStatuses": [restarted]}}
    await world.api.patch(PODS, world.namespace, before["metadata"]["name"], status, subresource="status")

    async def replaced() -> bool:
        uids = [pod["metadata"]["uid"] for pod in await world.pods()]
        return len(uids) == 1 and uids != [before["metadata"]["uid"]]

    await eventually(replaced, "it is replaced")
    (after,) = await world.pods()
    assert after["metadata"]["annotations"]["videofleet.io/failures"] == "1"


async def test_what_a_pod_has_had_is_known_to_the_next_leader(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    await apart.pool(isolation="pod", minWorkers=0, maxWorkers=1)
    await apart.job("camera")
    first = await _pod_of(apart, "camera")
    # No status tells any more that this pod had a job; the worker does.
    await replicas.kill(operator)
    await apart.delete(JOBS, "camera")
    await operator.start()
    await apart.job("next")
    assert await _pod_of(apart, "next") != first
