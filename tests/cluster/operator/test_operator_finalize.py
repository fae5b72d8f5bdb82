"""Logs of jobs that nothing runs any more are ended, and results go with jobs where that is their policy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, World, eventually
from tests.support.simulated_archive import SimulatedArchive
from tests.support.simulated_worker import end, fail, first_frame
from videofleet_api.codes import ErrorCode
from videofleet_api.finalize import Finalize
from videofleet_kube.resources import LEASES

DELETE = {"archive": {"deletionPolicy": "Delete"}}
RETAIN = {"archive": {"deletionPolicy": "Retain"}}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SimulatedArchive]:
    made = SimulatedArchive(tmp_path / "archive")
    yield made
    made.close()


async def _workers(world: World, archive: SimulatedArchive, count: int = 1) -> None:
    world.archive = archive
    await world.pool(minWorkers=count, maxWorkers=count, capacityPerWorker=8, archive={"claimName": "results"})
    await world.until_workers(count)


async def _uid(world: World, name: str) -> str:
    found = await world.api.get(JOBS, world.namespace, name)
    assert found is not None
    return str(found["metadata"]["uid"])


async def _until_ended(world: World, archive: SimulatedArchive, uid: str, reason: str) -> None:
    def check() -> bool:
        ending = archive.ending(world.namespace, uid)
        return ending is not None and ending.reason == reason

    await eventually(check, f"the log of {uid} ends with {reason}")


def _nothing_left(world: World) -> bool:
    """Whether no worker is still asked for anything."""
    return not any(last.finalize for worker in world.workers.values() for last in worker.sets[-1:])


def _deleted(world: World, archive: SimulatedArchive) -> set[str]:
    """Jobs whose results are noted to go with them."""
    return {each.uid for each in archive.notes(world.worker().sets[-1].fleet).deleted}


async def test_what_nothing_runs_again_is_ended_and_all_else_goes_on(world: World, archive: SimulatedArchive) -> None:
    away = ErrorCode.NETWORK, "the camera is away"
    world.scripts["broken"] = [[first_frame(), fail(*away)]]
    world.scripts["spent"] = [[fail(*away)]]
    world.scripts["retried"] = [[first_frame(), fail(*away)]]
    world.scripts["done"] = [[first_frame(), end()]]
    await _workers(world, archive)
    jobs = {
        "deleted": {},
        "broken": {"singlePass": True},
        "spent": {"restart": {"maxAttempts": 1}},
        "retried": {"restart": {"delay": 300}},
        "paused": {},
        "edited": {},
        "removed": {"outputs": DELETE},
        "done": {"singlePass": True},
    }
    for name, spec in jobs.items():
        await world.job(name, **spec)
    phases = {"broken": "INTERRUPTED", "spent": "NOT_STARTED", "retried": "INTERRUPTED", "done": "COMPLETED"}
    for name in jobs:
        await world.until(name, phases.get(name, "INPROGRESS"))
    uids = {name: await _uid(world, name) for name in jobs}
    await world.delete(JOBS, "deleted")
    await world.delete(JOBS, "removed")
    await world.edit(JOBS, "paused", enabled=False)
    await world.edit(JOBS, "edited", source={"url": "rtsp://camera.example/another"})
    await world.edit(JOBS, "done", outputs=DELETE)
    await world.until("paused", "DISABLED")
    await world.until("edited", "INPROGRESS", epoch=2)

    for name, reason in (("deleted", "cancelled"), ("broken", "error"), ("spent", "error"), ("edited", "cancelled")):
        await _until_ended(world, archive, uids[name], reason)
    broken = archive.ending(world.namespace, uids["broken"])
    assert broken is not None
    assert broken.error == (ErrorCode.NETWORK.value, "the camera is away")
    await eventually(lambda: not archive.objects(world.namespace, uids["removed"]), "its results go with it")
    # No worker has it any more: it is looked up where it wrote.
    await eventually(lambda: uids["done"] in _deleted(world, archive), "an edit of a job that is over is noted, too")
    await eventually(lambda: _nothing_left(world), "nothing is asked for any more")
    noted = archive.notes(world.worker().sets[-1].fleet)
    going_on = {(each.uid, each.run) for each in noted.runs if each.namespace == world.namespace}
    assert going_on == {(uids["retried"], 1), (uids["paused"], 1), (uids["edited"], 2)}
    for uid, run in going_on:
        assert archive.ending(world.namespace, uid, run) is None

    assert world.phases("done")[-1] == "COMPLETED", "and nothing runs again"
    await world.delete(JOBS, "done")
    await eventually(lambda: not archive.objects(world.namespace, uids["done"]), "its results go with it")
    await eventually(lambda: _nothing_left(world), "nothing is asked for any more")

    told, written = len(world.worker().sets), {name: len(world.history(name)) for name in jobs}
    await asyncio.sleep(3)
    assert len(world.worker().sets) == told
    assert {name: len(world.history(name)) for name in jobs} == written

    await world.edit(JOBS, "spent", restart={"maxAttempts": 3})
    assert (await world.until("spent", "STARTING"))["run"] == 2, "what was ended is not gone on with"


async def test_what_happened_while_nobody_led_is_found_by_the_next(
    apart: World, replicas: Replicas, archive: SimulatedArchive
) -> None:
    operator = await replicas.leader()
    apart.scripts["kept"] = apart.scripts["dropped"] = [[first_frame(), end()]]
    await _workers(apart, archive)
    await apart.job("deleted")
    await apart.job("removed", outputs=DELETE)
    await apart.job("dropped", singlePass=True, outputs=DELETE)
    await apart.job("kept", singlePass=True, outputs=DELETE)
    uids = {}
    for name, phase in {
        "deleted": "INPROGRESS",
        "removed": "INPROGRESS",
        "dropped": "COMPLETED",
        "kept": "COMPLETED",
    }.items():
        await apart.until(name, phase)
        uids[name] = await _uid(apart, name)
    await replicas.kill(operator)
    for name in ("deleted", "removed", "dropped"):
        await apart.delete(JOBS, name)
    await apart.edit(JOBS, "kept", outputs=RETAIN)
    await operator.start()
    await _until_ended(apart, archive, uids["deleted"], "cancelled")
    for name in ("removed", "dropped"):
        await eventually(lambda uid=uids[name]: not archive.objects(apart.namespace, uid), "its results went with it")
    await eventually(lambda: uids["kept"] not in _deleted(apart, archive), "it is noted")
    await eventually(lambda: _nothing_left(apart), "nothing is asked for any more")
    await apart.delete(JOBS, "kept")
    await eventually(lambda: not apart.worker().sets[-1].entries, "no job is left")
    await eventually(lambda: _nothing_left(apart), "nothing is asked for any more")
    assert archive.objects(apart.namespace, uids["kept"])

    lease = await apart.api.list(LEASES, apart.namespace)
    assert len(lease["items"]) == 1


async def test_another_worker_ends_what_its_own_does_not_answer_for(world: World, archive: SimulatedArchive) -> None:
    await _workers(world, archive, 2)
    await world.job("camera")
    name = (await world.until("camera", "INPROGRESS"))["worker"]["name"]
    uid = await _uid(world, "camera")
    world.worker(name).go_silent()
    await world.delete(JOBS, "camera")
    await _until_ended(world, archive, uid, "cancelled")
    world.worker(name).speak()
    await eventually(lambda: _nothing_left(world), "nothing is asked for any more")


async def test_another_worker_tells_the_receivers_of_a_job_whose_worker_died_behind_its_end(
    world: World, archive: SimulatedArchive
) -> None:
    world.scripts["clip"] = [[first_frame(), end()]]
    await world.secret("signing", key="s3cret")
    await _workers(world, archive, 2)
    hook = {"url": "https://hooks.example/", "secretRef": {"name": "signing", "key": "key"}}
    await world.job("clip", singlePass=True, outputs={"webhooks": [hook]})
    await world.until("clip", "COMPLETED")
    name = next(seen.status["worker"]["name"] for seen in world.history("clip") if "worker" in seen.status)
    uid = await _uid(world, "clip")
    (noted,) = (each for each in archive.notes(world.worker(name).sets[-1].fleet).untold if each.uid == uid)
    assert noted.worker == world.worker(name).instance
    (other,) = (each for each in world.workers.values() if each is not world.worker(name))
    world.worker(name).go_silent()

    def told() -> list[Finalize]:
        return [each for given in other.sets for each in given.finalize if each.untold]

    await eventually(lambda: bool(told()), "the other worker is asked")
    assert (told()[0].untold, told()[0].name) == ([noted], "clip")
    assert [(each.url, each.secret) for each in told()[0].outputs.webhooks] == [("https://hooks.example/", "s3cret")]
    await eventually(lambda: noted not in archive.notes(other.sets[-1].fleet).untold, "it has told them")
    await eventually(lambda: not other.sets[-1].finalize, "nothing is asked for any more")
    assert world.phases("clip")[-1] == "COMPLETED"
    world.worker(name).speak()
