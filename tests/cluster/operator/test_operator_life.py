"""Undisturbed lives and what edits do: which writes are made, and how many."""

import asyncio
from typing import Any

import pytest

from tests.cluster.operator.conftest import Replicas, Shared
from tests.cluster.operator.harness import JOBS, POOLS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import end


@pytest.mark.acceptance("F48", "F49", "F50", "F51")
async def test_an_undisturbed_life_is_three_writes_and_then_none(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("file", singlePass=True)
    await world.until("file", "INPROGRESS")
    await world.go_on("file", end())
    status = await world.until("file", "COMPLETED", "Ended")
    pool = await _rested_pool(world)
    await asyncio.sleep(5)
    assert [seen.brief for seen in world.history("file")] == [
        ("", "", 0),
        ("STARTING", "Assigned", 1),
        ("INPROGRESS", "Running", 1),
        ("COMPLETED", "Ended", 1),
    ]
    told = [(event["reason"], event["count"]) for event in await world.events("file")]
    assert sorted(told) == [("Ended", 1), ("Running", 1)]
    assert status == world.last("file")
    assert (await world.api.get(POOLS, world.namespace, world.pool_name) or {})["metadata"]["resourceVersion"] == pool
    assert status["finished"] is True
    assert "worker" not in status
    assert status["progress"] == {"percent": "100 %", "processedFrames": 100, "totalFrames": 100}
    assert conditions(status) == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Scheduled": "False",
        "Licensed": "Unknown",
        "Complete": "True",
        "Failed": "False",
        "SourceHealthy": "Unknown",
    }
    uid = (await world.api.get(JOBS, world.namespace, "file") or {})["metadata"]["uid"]
    assert status["analytics"] == [{"name": "main", "results": f"{world.namespace}/{uid}/1/main"}]


async def _rested_pool(world: World) -> str:
    """The version of the pool once its status tells that nothing runs."""

    async def version() -> str | None:
        pool = await world.api.get(POOLS, world.namespace, world.pool_name) or {}
        return pool["metadata"]["resourceVersion"] if pool["status"]["slots"]["used"] == 0 else None

    return str(await eventually(version, "the pool is idle"))


async def test_placed_at_first_sight_with_worker_epoch_and_phase_in_one_write(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", "Running")
    first = world.history("camera")[1].status
    worker = world.worker()
    assert (first["phase"], first["epoch"], first["run"], first["transitions"]) == ("STARTING", 1, 1, 1)
    assert first["worker"] == {
        "name": worker.name,
        "pool": f"{world.namespace}/{world.pool_name}",
        "id": next(pod["metadata"]["uid"] for pod in await world.pods()),
        "instance": worker.instance,
    }
    assert first["observedGeneration"] == 1
    assert conditions(first) == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
        "Scheduled": "True",
        "Licensed": "True",
        "Complete": "False",
        "Failed": "False",
        "SourceHealthy": "Unknown",
    }
    assert world.last("camera")["firstFrameTime"]


@pytest.mark.acceptance("F52", "A7")
async def test_a_source_that_repeats_is_a_new_run_each_time(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("clip")
    await world.until("clip", "INPROGRESS")
    await world.go_on("clip", end())
    status = await world.until("clip", "INPROGRESS", "Running", run=2)
    assert world.phases("clip") == ["STARTING", "INPROGRESS", "COMPLETED", "AWAITING", "STARTING", "INPROGRESS"]
    assert (status["epoch"], status["attempt"], status["statistics"]["restarts"]) == (2, 0, 1)


@pytest.mark.acceptance("F44")
async def test_a_job_that_waits_starts_when_a_worker_comes(world: World) -> None:
    await world.job("early")
    waiting = await world.until("early", "AWAITING", "NoMatchingPool")
    assert "no pool takes this job" in waiting["message"]
    told = await world.until_event("early", "NoMatchingPool")
    assert (told["type"], told["message"]) == ("Warning", f"no pool for namespace {world.namespace}")
    world.holding = True
    await world.pool()
    await world.until("early", "AWAITING", "NoReadyWorker")
    world.holding = False
    await world.until("early", "INPROGRESS")
    assert world.phases("early") == ["AWAITING", "STARTING", "INPROGRESS"]
    assert len([event for event in await world.events("early") if event["type"] == "Warning"]) == 1


async def test_a_changed_source_is_a_new_epoch(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", epoch=1)
    await world.edit(JOBS, "camera", source={"url": "rtsp://camera.example/2"})
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert world.phases("camera") == ["STARTING", "INPROGRESS", "AWAITING", "STARTING", "INPROGRESS"]
    assert ("AWAITING", "SpecChanged", 1) in [seen.brief for seen in world.history("camera")]
    assert (status["observedGeneration"], status["run"], status["attempt"]) == (2, 2, 0)
    assert world.worker().spec("camera").spec.source.url == "rtsp://camera.example/2"


async def test_thresholds_are_changed_on_the_running_stream(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", epoch=1)
    worker = world.worker()
    worker.adapts = False
    steps = [{"model": "detect", "parameters": {"confidence": 0.8}}, {"model": "track"}]
    await world.edit(JOBS, "camera", analytics=[{"steps": steps}])
    await eventually(lambda: worker.spec("camera").spec.analytics[0].steps[0].parameters is not None, "it is told")
    assert world.last("camera")["observedGeneration"] == 1, "not in force yet"
    writes = len(world.history("camera"))
    worker.job("camera").applied(worker.assigned["camera"].settings)
    status = await world.until("camera", "INPROGRESS", observedGeneration=2)
    assert len(world.history("camera")) == writes + 1
    assert (status["epoch"], status["run"], status["transitions"]) == (1, 1, 2)
    assert status["settingsDigest"] == worker.assigned["camera"].settings
    assert world.scripts.seen["camera"] == [1], "the worker never stopped"


async def test_zones_lines_and_masks_are_changed_on_the_running_stream(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", epoch=1)
    corners = [{"x": 0, "y": 0}, {"x": 0.5, "y": 0}, {"x": 0.5, "y": 1}]
    regions: dict[str, Any] = {
        "zones": [{"name": "door", "polygon": corners, "minDwell": 5}],
        "lines": [{"name": "gate", "from": corners[0], "to": corners[2]}],
        "privacyMasks": [{"polygon": corners, "mode": "blur"}],
    }
    generation = 1
    for edited in (*({name: value} for name, value in regions.items()), dict.fromkeys(regions)):
        await world.edit(JOBS, "camera", **edited)
        generation += 1
        status = await world.until("camera", "INPROGRESS", observedGeneration=generation)
        assert (status["epoch"], status["run"], status["transitions"]) == (1, 1, 2)
        if generation == 4:
            spec = world.worker().spec("camera").spec
            assert (spec.zones[0].min_dwell, spec.lines[0].to.y, spec.privacy_masks[0].mode) == (5, 1, "blur")
    assert world.worker().spec("camera").spec.zones == []
    assert world.scripts.seen["camera"] == [1], "the worker never stopped"


async def test_settings_that_a_worker_had_applied_before_its_operator_was_lost(
    apart: World, replicas: Replicas
) -> None:
    first = await replicas.leader("first")
    await apart.pool()
    await apart.until_workers(1)
    await apart.job("camera")
    await apart.until("camera", "INPROGRESS", epoch=1)
    await replicas.kill(first)
    await apart.edit(JOBS, "camera", outputs={"archive": {"maxBytes": 1048576}})
    await replicas.leader("second")
    status = await apart.until("camera", "INPROGRESS", observedGeneration=2)
    assert (status["epoch"], apart.scripts.seen["camera"]) == (1, [1])
    assert apart.worker().spec("camera").spec.archive_max_bytes == 1048576


async def test_changed_labels_are_seen_and_start_nothing(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", epoch=1)
    patch = {"metadata": {"labels": {"site": "berlin"}}, "spec": {"labels": {"site": "berlin"}, "priority": 5}}
    await world.api.patch(JOBS, world.namespace, "camera", patch)
    await world.until("camera", "INPROGRESS", observedGeneration=2)
    await asyncio.sleep(1)
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]
    assert world.scripts.seen["camera"] == [1]


@pytest.mark.acceptance("F64", "F66")
async def test_disabled_from_any_phase_and_enabled_again(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    await world.edit(JOBS, "camera", enabled=False)
    status = await world.until("camera", "DISABLED", "Disabled")
    assert conditions(status)["Reconciling"] == "False"
    await eventually(lambda: not world.worker().assigned, "the worker runs nothing")
    await world.edit(JOBS, "camera", enabled=True)
    await world.until("camera", "INPROGRESS", epoch=2)


async def test_a_deleted_job_stops_within_seconds(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("one")
    await world.job("two")
    await world.until("one", "INPROGRESS")
    await world.until("two", "INPROGRESS")
    await world.delete(JOBS, "one")
    await eventually(lambda: list(world.worker().assigned) == ["two"], "only the other job is assigned")
    assert await world.api.get(JOBS, world.namespace, "one") is None, "nothing holds the deletion up"
    assert world.phases("two") == ["STARTING", "INPROGRESS"]


async def test_events_tell_of_the_first_frame_and_of_the_end(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("file", singlePass=True)
    await world.until("file", "INPROGRESS")
    await world.go_on("file", end())
    ended = await world.until_event("file", "Ended")
    running = await world.until_event("file", "Running")
    assert (ended["type"], running["type"]) == ("Normal", "Normal")
    assert ended["involvedObject"]["kind"] == "VideoJob"
    assert ended["source"]["component"] == "videofleet-operator"
    assert sorted(event["reason"] for event in await world.events("file")) == ["Ended", "Running"]


async def test_metrics_and_log_tell_of_each_phase(world: World, shared: Shared) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("told")
    await world.until("told", "INPROGRESS")

    def told() -> list[tuple[str, str]]:
        records = [each for each in shared.process.records() if each["message"] == "phase" and each["job"] == "told"]
        return [(each["from"], each["to"]) for each in records]

    await eventually(lambda: told() == [("AWAITING", "STARTING"), ("STARTING", "INPROGRESS")], "the log tells")
    metrics = shared.process.metrics()
    assert metrics['videofleet_transitions_total{reason="Assigned",to="STARTING"}'] >= 1
    assert metrics['videofleet_writes_total{outcome="Applied"}'] >= 2
    assert metrics["videofleet_operator_leader"] == 1
