"""Workers that are full, silent, gone or new, and pools that grow."""

import base64

import pytest
from cryptography import x509

from tests.cluster.operator.harness import JOBS, NOWHERE, POOLS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import end, first_frame
from videofleet_api import names
from videofleet_kube.resources import PODS, SECRETS


async def test_a_worker_pod_is_restricted_and_has_a_key_pair_of_its_own(world: World) -> None:
    pool = await world.pool(capacityPerWorker=7)
    await world.until_workers(1)
    (pod,) = await world.pods()
    name = pod["metadata"]["name"]
    assert name == f"{world.pool_name}-0-0"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == pool["metadata"]["uid"]
    assert pod["spec"]["nodeSelector"] == NOWHERE
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["containers"][0]["image"] == "localhost/videofleet-worker:simulated"
    secret = await world.api.get(SECRETS, world.namespace, names.worker_tls_secret_name(name)) or {}
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    server_name = names.worker_server_name(world.namespace, name)
    assert alternatives.get_values_for_type(x509.DNSName) == [server_name]
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Pod", pod["metadata"]["uid"])
    await world.api.delete(PODS, world.namespace, name)
    await world.until_workers(0)
    await world.until_workers(1)

    async def old_secret_is_gone() -> bool:
        now = await world.api.get(SECRETS, world.namespace, names.worker_tls_secret_name(name))
        return now is None or now["metadata"]["uid"] != secret["metadata"]["uid"]

    await eventually(old_secret_is_gone, "the key pair goes with its pod")


async def test_the_status_of_a_pool(world: World) -> None:
    await world.pool(capacityPerWorker=7, minWorkers=2, maxWorkers=2)
    await world.job("camera", slots=3)
    await world.until("camera", "INPROGRESS")

    async def settled() -> bool:
        return bool((await world.status(world.pool_name, POOLS)).get("slots") == {"total": 14, "used": 3})

    await eventually(settled, "the pool tells of its slots")
    status = await world.status(world.pool_name, POOLS)
    assert status["workers"] == {"desired": 2, "ready": 2, "draining": 0, "failed": 0}
    assert status["replicas"] == 2
    assert status["selector"] == f"{names.LABEL_POOL}={world.pool_name}"
    assert status["provider"] == "cpu"
    assert "fallback" not in status, "no accelerator was asked for"
    assert status["models"] == ["simulated"]
    assert status["isolation"] == ["decodingProcess", "seccomp"]
    assert conditions(status) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


@pytest.mark.acceptance("F46", "A4")
async def test_a_full_worker_takes_no_more_and_the_next_in_line_gets_the_place(world: World) -> None:
    await world.pool(capacityPerWorker=2)
    await world.until_workers(1)
    await world.job("one")
    await world.job("two")
    await world.until("one", "INPROGRESS")
    await world.until("two", "INPROGRESS")
    await world.job("low")
    await world.until("low", "AWAITING", "WorkersFull")
    await world.job("high", priority=10)
    waiting = await world.until("high", "AWAITING", "WorkersFull")
    assert waiting["message"] == "all 1 worker of 1 matching pool is full (2 of 2 slots)"
    event = await world.until_event("high", "WorkersFull")
    assert (event["type"], event["message"]) == ("Warning", "1 worker full")
    await world.delete(JOBS, "one")
    await world.until("high", "INPROGRESS")
    assert world.phases("low") == ["AWAITING"]
    assert world.phases("two") == ["STARTING", "INPROGRESS"]
    await world.delete(JOBS, "two")
    await world.until("low", "INPROGRESS")


async def test_slots_are_weights_and_a_job_that_never_fits_is_told(world: World) -> None:
    await world.pool(capacityPerWorker=4)
    await world.until_workers(1)
    await world.job("heavy", slots=3)
    await world.until("heavy", "INPROGRESS")
    await world.job("wide", slots=2)
    waiting = await world.until("wide", "AWAITING", "WorkersFull")
    assert "(3 of 4 are used)" in waiting["message"]
    await world.job("light", slots=1)
    await world.until("light", "INPROGRESS")
    await world.job("giant", slots=5)
    never = await world.until("giant", "AWAITING", "NeverFits")
    assert "lower slots or raise the pool's capacityPerWorker" in never["message"]
    assert conditions(never)["Stalled"] == "True"


@pytest.mark.acceptance("F45", "A3")
async def test_jobs_are_spread_and_a_selector_is_kept(world: World) -> None:
    await world.pool(minWorkers=2, maxWorkers=2, labels={"site": "hamburg"})
    await world.until_workers(2)
    for name in ("a", "b", "c", "d"):
        await world.job(name)
    for name in ("a", "b", "c", "d"):
        await world.until(name, "INPROGRESS")
    assert sorted(len(worker.assigned) for worker in world.workers.values()) == [2, 2]
    await world.job("berlin", workerSelector={"matchLabels": {"site": "berlin"}})
    refused = await world.until("berlin", "AWAITING", "NoMatchingPool")
    assert "lacks label site=berlin" in refused["message"]
    await world.edit(JOBS, "berlin", workerSelector={"matchLabels": {"site": "hamburg"}})
    await world.until("berlin", "INPROGRESS")


async def test_a_pool_grows_with_its_jobs_to_its_maximum_and_shrinks_again(world: World) -> None:
    await world.pool(minWorkers=0, maxWorkers=2, capacityPerWorker=1, scaleDownDelay=1)
    for name in ("a", "b", "c"):
        await world.job(name)
    await world.until_workers(2)
    await eventually(lambda: [world.last(name).get("phase") for name in "abc"].count("INPROGRESS") == 2, "two run")
    waiting = next(name for name in "abc" if world.last(name)["phase"] != "INPROGRESS")
    await world.until(waiting, "AWAITING", "WorkersFull")
    assert len(await world.pods()) == 2
    for name in "abc":
        await world.delete(JOBS, name)
    await eventually(lambda: not world.workers, "idle workers are taken away")


async def test_a_pool_can_be_scaled_by_hand(world: World) -> None:
    await world.pool(minWorkers=0, maxWorkers=3)
    await world.edit(POOLS, world.pool_name, workers=2)
    await world.until_workers(2)


@pytest.mark.acceptance("F62", "F63")
async def test_a_worker_that_is_gone_loses_its_jobs_to_another(world: World) -> None:
    await world.pool(minWorkers=2, maxWorkers=2)
    await world.until_workers(2)
    world.scripts["file"] = [[first_frame()], [first_frame(), end(0.2)]]
    await world.job("camera")
    await world.job("file", singlePass=True)
    lost = (await world.until("camera", "INPROGRESS"))["worker"]
    other = (await world.until("file", "INPROGRESS"))["worker"]
    assert lost["id"] != other["id"]
    for worker in (lost, other):
        await world.api.delete(PODS, world.namespace, worker["name"])

    def elsewhere() -> bool:
        """On its way it may have been on the second one, until that was lost too."""
        status = world.last("camera")
        return status["phase"] == "INPROGRESS" and status["worker"]["id"] not in (lost["id"], other["id"])

    await eventually(elsewhere, "the camera runs on a new worker")
    phases = world.phases("camera")
    assert phases[:3] == ["STARTING", "INPROGRESS", "DISCONNECTED"]
    assert phases[-2:] == ["STARTING", "INPROGRESS"]
    # A single-pass job that lost its worker has not had its pass.
    finished = await world.until("file", "COMPLETED")
    assert finished["epoch"] > 1
    assert (finished["run"], finished["attempt"]) == (1, 0)
    await world.until_workers(2)


@pytest.mark.acceptance("F62", "F63")
async def test_a_silent_worker_is_disconnected_and_taken_back_as_it_was(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    worker = world.worker()
    worker.go_silent()
    lost = await world.until("camera", "DISCONNECTED", "WorkerSilent")
    assert "10 seconds" in lost["message"]
    assert lost["worker"]["name"] == worker.name, "it may come back"
    await world.job("later")
    await world.until("later", "AWAITING", "NoReadyWorker")
    worker.speak()
    back = await world.until("camera", "INPROGRESS", "Running", epoch=1)
    assert world.phases("camera") == ["STARTING", "INPROGRESS", "DISCONNECTED", "INPROGRESS"]
    assert world.scripts.seen["camera"] == [1], "it went on all the time"
    assert back["attempt"] == 0
    await world.until("later", "INPROGRESS")
