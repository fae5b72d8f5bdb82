"""What is left of a job that is over: its conditions, its history, and after a while nothing."""

import asyncio
import json

from tests.cluster.crd.server import kubectl
from tests.cluster.operator.harness import JOBS, World, eventually
from tests.support.simulated_worker import end, fail, first_frame
from videofleet_api.codes import ErrorCode


async def wait_for(world: World, name: str, condition: str) -> str:
    """What `kubectl wait` says of a condition of a job."""
    what = (f"videojobs.videofleet.io/{name}", f"--for=condition={condition}", "--timeout=55s")
    done = await asyncio.to_thread(kubectl, "-n", world.namespace, "wait", *what)
    return done.stdout + done.stderr


async def test_kubectl_waits_for_the_end_of_a_single_pass(world: World) -> None:
    world.scripts["good"] = [[first_frame(), end(0.3)]]
    world.scripts["bad"] = [[first_frame(), fail(ErrorCode.CODEC, "broken", after=0.3)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("good", singlePass=True)
    await world.job("bad", singlePass=True)
    assert "condition met" in await wait_for(world, "good", "Complete")
    assert "condition met" in await wait_for(world, "bad", "Failed")


async def test_a_job_that_is_over_is_deleted_after_its_time(world: World) -> None:
    world.scripts.usual = [first_frame(), end()]
    world.scripts["tries"] = [[fail(ErrorCode.NOT_FOUND)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("soon", singlePass=True, ttlSecondsAfterFinished=1)
    await world.job("late", singlePass=True, ttlSecondsAfterFinished=5)
    await world.job("never", singlePass=True)
    await world.job("tries", restart={"maxAttempts": 1}, ttlSecondsAfterFinished=0)
    await world.until("late", "COMPLETED")
    await world.edit(JOBS, "late", ttlSecondsAfterFinished=None)
    for name in ("soon", "tries"):
        await eventually(lambda name=name: _is_gone(world, name), f"{name} is deleted")
    assert [phase for phase in world.phases("soon") if phase != "INPROGRESS"] == ["STARTING", "COMPLETED"]
    assert world.phases("tries")[-1] == "NOT_STARTED"
    await world.edit(JOBS, "never", ttlSecondsAfterFinished=0)
    await eventually(lambda: _is_gone(world, "never"), "an edit is enough")
    assert not await _is_gone(world, "late")


async def _is_gone(world: World, name: str) -> bool:
    return await world.api.get(JOBS, world.namespace, name) is None


async def test_the_history_tells_the_last_changes_each_in_the_write_that_made_it(world: World) -> None:
    world.scripts.usual = [first_frame(0.01)]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    for epoch in range(2, 11):
        await world.edit(JOBS, "camera", enabled=False)
        await world.until("camera", "DISABLED")
        await world.edit(JOBS, "camera", enabled=True)
        await world.until("camera", "INPROGRESS", epoch=epoch)
    for seen in world.history("camera")[1:]:
        history, count = seen.status["history"], seen.status["transitions"]
        assert [each["sequence"] for each in history] == list(range(max(1, count - 31), count + 1))
        assert (history[-1]["to"], history[-1]["time"]) == (seen.phase, seen.status["since"])
    last = world.last("camera")["history"]
    assert [each["from"] for each in last[1:]] == [each["to"] for each in last[:-1]]
    assert last[-1] == {
        "sequence": 38,
        "time": world.last("camera")["since"],
        "from": "STARTING",
        "to": "INPROGRESS",
        "reason": "Running",
        "worker": world.worker().name,
    }
    assert len(json.dumps(last)) < 32 * 600
