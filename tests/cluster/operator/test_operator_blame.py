"""Who is to blame: workers that fail a job are passed over, jobs that crash workers run alone and are given up."""

import asyncio

import pytest

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import crash, fail, first_frame
from videofleet_api.codes import ErrorCode


@pytest.mark.acceptance("F61")
async def test_a_worker_that_failed_a_job_is_passed_over_also_by_the_next_leader(
    apart: World, replicas: Replicas
) -> None:
    first = await replicas.leader()
    await apart.pool(minWorkers=2, maxWorkers=2)
    await apart.until_workers(2)
    apart.scripts["camera"] = [[fail(ErrorCode.INTERNAL)], [first_frame()]]
    await apart.job("camera", restart={"delay": 6})
    failed = await apart.until("camera", "NOT_STARTED", "WorkerError")
    by = next(seen.status["worker"] for seen in apart.history("camera") if seen.phase == "STARTING")
    assert failed["excludedWorkers"] == [{key: by[key] for key in ("name", "id", "instance")}]
    await replicas.kill(first)
    await replicas.leader("two")
    status = await apart.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["id"] != by["id"]
    assert status["excludedWorkers"] == failed["excludedWorkers"]


async def test_a_job_waits_a_while_for_room_elsewhere_before_it_returns_to_what_failed_it(world: World) -> None:
    await world.pool(minWorkers=2, maxWorkers=2, capacityPerWorker=1)
    await world.until_workers(2)
    await world.job("neighbour")
    taken = await world.until("neighbour", "INPROGRESS")
    world.scripts["camera"] = [[fail(ErrorCode.INTERNAL)], [first_frame()]]
    await world.job("camera", restart={"delay": 0.2})
    waits = await world.until("camera", "AWAITING", "WorkersExcluded")
    assert [each["id"] for each in waits["excludedWorkers"]] != [taken["worker"]["id"]]
    await world.delete(JOBS, "neighbour")
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["id"] == taken["worker"]["id"]


async def test_errors_of_the_source_exclude_nobody(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    world.scripts["camera"] = [[fail(ErrorCode.NOT_FOUND)]]
    await world.job("camera", restart={"delay": 300})
    status = await world.until("camera", "NOT_STARTED", "SourceNotFound")
    assert "excludedWorkers" not in status


async def test_the_only_worker_is_tried_again_without_ado(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    world.scripts["camera"] = [[fail(ErrorCode.INTERNAL)], [first_frame()]]
    await world.job("camera", restart={"delay": 0.2})
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert world.phases("camera") == ["STARTING", "NOT_STARTED", "STARTING", "INPROGRESS"]
    assert "excludedWorkers" not in status, "all were tried"


async def test_a_job_that_crashes_workers_runs_alone_then_is_given_up(world: World) -> None:
    await world.pool(minWorkers=1, maxWorkers=1)
    await world.until_workers(1)
    await world.job("bad", priority=1)
    await world.job("good")
    for epoch in (1, 2):
        for name in ("bad", "good"):
            await world.until(name, "INPROGRESS", epoch=epoch)
        await world.go_on("bad", crash())
    alone = await world.until("bad", "STARTING", epoch=3)
    assert alone["suspicion"] == 2
    waits = await world.until("good", "AWAITING", "NoEmptyWorker")
    assert waits["suspicion"] == 2
    assert "only alone on a worker" in waits["message"]
    await world.until("bad", "INPROGRESS", epoch=3)
    await world.go_on("bad", crash())
    status = await world.until("bad", "INTERRUPTED", "SuspectedCrash")
    assert "set enabled to false and true" in status["message"]
    told = conditions(status)
    assert {name: told[name] for name in ("Ready", "Reconciling", "Stalled")} == {
        "Ready": "False",
        "Reconciling": "False",
        "Stalled": "True",
    }
    assert status["attempt"] == 0
    await world.until("good", "INPROGRESS")
    await asyncio.sleep(2.5)
    assert world.scripts.seen["bad"] == [1, 2, 3], "it is not tried again"

    await world.edit(JOBS, "bad", enabled=False)
    await world.until("bad", "DISABLED")
    await world.edit(JOBS, "bad", enabled=True)
    # The neighbour, still under suspicion, has the only worker for itself.
    freed = await world.until("bad", "AWAITING", "WorkersFull")
    assert freed["suspicion"] == 0


async def test_a_host_is_not_stormed_also_where_a_secret_names_it(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader(source_start_burst="2", source_starts_per_second="0.2")
    await apart.secret("address", url="rtsp://recorder.example/hidden")
    await apart.pool()
    await apart.until_workers(1)
    names = [f"camera{number}" for number in range(4)]
    for name in names:
        await apart.job(name, source={"urlSecretRef": {"name": "address", "key": "url"}})
    # Created within one second they start by uid; the last of them waits 10 seconds, and is told so after 5.
    await eventually(lambda: any(apart.last(name).get("reason") == "SourceThrottled" for name in names), "one is told")
    told = next(apart.last(name) for name in names if apart.last(name).get("reason") == "SourceThrottled")
    assert told["phase"] == "AWAITING"
    assert told["message"] == "many jobs start at the host of its source: 2 do at once, then 0.2 a second"
    for name in names:
        await apart.until(name, "INPROGRESS")
    began = sorted(apart.began(name, "STARTING")[0] for name in names)
    # Two at once, then one every 5 seconds.
    assert began[3] - began[1] > 8
    assert "recorder.example" not in operator.log()
