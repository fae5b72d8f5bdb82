"""Jobs made through F, from end to end: a real API server and a real operator; the workers are played."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.operator.harness import JOBS, POOLS, World, eventually
from tests.support.f_client import ROUTER, URL, made, wrong
from tests.support.gateway import served, settings
from tests.support.kubectl import conditions
from tests.support.simulated_worker import Step, end, fail, first_frame, go_silent, refuse
from videofleet_api.codes import ErrorCode
from videofleet_api.names import GROUP
from videofleet_api.protocol import AssignmentSet
from videofleet_gateway.jobs.naming import job_name
from videofleet_gateway.jobs.service import GONE_WITHIN
from videofleet_kube import from_kubeconfig
from videofleet_kube.resources import EVENTS, SECRETS

CAM = "Cam 1/A"
"""No DNS name; in a path it is written so:"""
PATH = "Cam%201%2FA"
NAME = job_name("f", CAM)


@pytest.fixture
async def f(world: World, kubeconfig: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of F whose project is the namespace of the world."""
    await world.pool()
    await world.until_workers(1)
    async with served(settings(tmp_path), from_kubeconfig(kubeconfig), world.namespace) as gateway:
        yield gateway.client(port="f_port")


async def read(client: httpx.AsyncClient, path: str = PATH) -> dict[str, Any]:
    answer = await client.get(f"/job/{path}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def until(client: httpx.AsyncClient, status: str, path: str = PATH) -> dict[str, Any]:
    """The job once F shows it in this status."""

    async def check() -> dict[str, Any] | None:
        document = await read(client, path)
        return document if document["status"] == status else None

    return dict(await eventually(check, f"F shows {status}"))


@pytest.mark.acceptance("F2", "F3", "F43", "F48", "F49", "F32", "F33", "X1", "X4")
async def test_a_job_is_run_by_a_worker_and_seen_by_kubectl(f: httpx.AsyncClient, world: World) -> None:
    labels, said = {"district": "SVAO"}, {"router_timeout_ms": 2000, "router_verify_ssl": False}
    document = await made(f, PATH, labels=labels, router_url=ROUTER, stream_settings=said)
    assert (document["id"], document["status"], document["worker_id"]) == (CAM, "AWAITING", "")
    after = await until(f, "INPROGRESS")
    (pod,) = await world.pods()
    assert after["worker_id"] == pod["metadata"]["uid"]
    assert after["version"] == document["version"]
    assert world.phases(NAME) == ["STARTING", "INPROGRESS"]
    job = await world.api.get(JOBS, world.namespace, NAME)
    assert job is not None
    assert job["metadata"]["annotations"][f"{GROUP}/f-id"] == CAM
    spec = world.worker().spec(NAME).spec
    assert (spec.source.url, spec.outputs.labels) == (URL, labels)
    assert spec.outputs.router is not None
    assert (spec.outputs.router.url, spec.outputs.router.timeout, spec.outputs.router.verify_tls) == (ROUTER, 2, False)


@pytest.mark.acceptance("X1")
async def test_a_job_that_kubectl_made_is_in_fs_list(f: httpx.AsyncClient, world: World) -> None:
    await world.job("by-kubectl", labels={"a": "b"}, singlePass=True)
    await world.until("by-kubectl", "INPROGRESS")
    document = await until(f, "INPROGRESS", "by-kubectl")
    assert document["stream_url"] == "rtsp://camera.example/1"
    assert (document["labels"], document["single_pass"]) == ({"a": "b"}, True)
    assert [one["id"] for one in (await f.get("/jobs")).json()] == ["by-kubectl"]
    assert wrong(await f.delete("/job/by-kubectl")) == (409, "CONFLICT")


def _labels(world: World) -> dict[str, str]:
    return world.worker().spec(NAME).spec.outputs.labels


def _url(world: World) -> str:
    return world.worker().spec(NAME).spec.source.url if NAME in world.worker().assigned else ""


def _names(sent: AssignmentSet) -> set[str]:
    return {entry.name for entry in sent.entries}


LIVES: list[tuple[str, bool, list[Step], str]] = [
    ("F50 F51", True, [first_frame(), end()], "COMPLETED"),
    ("F53 F55", True, [first_frame(), fail(ErrorCode.NETWORK)], "INTERRUPTED"),
    ("F60", False, [fail(ErrorCode.NOT_FOUND)], "NOT_STARTED"),
    ("F56", False, [refuse(ErrorCode.CODEC)], "MISCONFIGURED"),
    ("F62", False, [first_frame(), go_silent()], "DISCONNECTED"),
]


@pytest.mark.acceptance("F19", "F50", "F51", "F53", "F55", "F56", "F60", "F62")
@pytest.mark.parametrize(("once", "script", "status"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES])
async def test_f_tells_each_end(
    f: httpx.AsyncClient,
    world: World,
    once: bool,
    script: list[Step],
    status: str,
) -> None:
    world.scripts[NAME] = [script]
    await made(f, PATH, single_pass=once)
    document = await until(f, status)
    assert bool(document["status_msg"])
    if once:
        before = world.history(NAME)[-1]
        await asyncio.sleep(2)
        assert world.history(NAME)[-1].phase == before.phase == status


@pytest.mark.acceptance("F16", "F47", "F52", "F54")
@pytest.mark.parametrize(("ending", "over"), [(end(), "COMPLETED"), (fail(ErrorCode.NETWORK), "INTERRUPTED")])
async def test_without_single_pass_it_waits_and_runs_again(
    f: httpx.AsyncClient,
    world: World,
    ending: Step,
    over: str,
) -> None:
    await made(f, PATH)
    await world.until(NAME, "INPROGRESS")
    await world.go_on(NAME, ending)
    await world.until(NAME, "INPROGRESS", epoch=2)
    assert world.phases(NAME) == ["STARTING", "INPROGRESS", over, "AWAITING", "STARTING", "INPROGRESS"]
    document = await until(f, "INPROGRESS")
    assert document["statistic"]["job_starts"] == 2


@pytest.mark.acceptance("F57", "F61", "A6", "X2")
async def test_what_one_worker_refuses_another_one_tries(f: httpx.AsyncClient, world: World) -> None:
    await world.api.patch(POOLS, world.namespace, world.pool_name, {"spec": {"minWorkers": 2, "maxWorkers": 2}})
    await world.until_workers(2)
    world.scripts[NAME] = [[refuse(ErrorCode.CODEC)], [first_frame()]]
    await made(f, PATH, single_pass=True)
    refused = await world.until(NAME, "MISCONFIGURED")
    assert conditions(refused)["Stalled"] == "False", "another worker is left"
    first = next(name for name, worker in world.workers.items() if any(NAME in _names(each) for each in worker.sets))
    after = await world.until(NAME, "INPROGRESS")
    assert after["worker"]["name"] != first
    assert world.phases(NAME) == ["STARTING", "MISCONFIGURED", "STARTING", "INPROGRESS"]


@pytest.mark.acceptance("F11", "F64", "F66")
async def test_a_job_is_disabled_and_enabled(f: httpx.AsyncClient, world: World) -> None:
    before = await made(f, PATH)
    await until(f, "INPROGRESS")
    answer = await f.patch(f"/job/{PATH}", json={"enabled": False})
    assert (answer.json()["enabled"], answer.json()["version"]) == (False, before["version"] + 1)
    document = await until(f, "DISABLED")
    assert document["worker_id"] == ""
    await eventually(lambda: NAME not in world.worker().assigned, "the worker has let go of it")
    await f.patch(f"/job/{PATH}", json={"enabled": True})
    await until(f, "INPROGRESS")
    assert world.phases(NAME)[-3:] == ["AWAITING", "STARTING", "INPROGRESS"]


@pytest.mark.acceptance("F89")
async def test_a_job_that_is_over_begins_anew(f: httpx.AsyncClient, world: World) -> None:
    world.scripts[NAME] = [[first_frame(), end()], [first_frame()]]
    await made(f, PATH, single_pass=True)
    over = await world.until(NAME, "COMPLETED")
    answer = await f.post(f"/job/{PATH}/restart")
    assert answer.status_code == 200
    again = await world.until(NAME, "INPROGRESS")
    assert (over["run"], again["run"]) == (1, 2)
    running = await f.post(f"/job/{PATH}/restart")
    assert running.status_code == 200
    await world.until(NAME, "INPROGRESS", run=3)


@pytest.mark.acceptance("F6")
async def test_labels_and_the_router_change_while_it_runs(f: httpx.AsyncClient, world: World) -> None:
    await made(f, PATH, router_url=ROUTER)
    await until(f, "INPROGRESS")
    await f.patch(f"/job/{PATH}", json={"labels": {"a": "b"}, "stream_settings": {"router_timeout_ms": 100}})
    await eventually(lambda: _labels(world) == {"a": "b"}, "the worker has the labels")
    assert world.last(NAME)["epoch"] == 1


@pytest.mark.acceptance("F7", "F88")
async def test_a_deleted_job_is_gone_at_once_and_made_again(f: httpx.AsyncClient, world: World) -> None:
    await made(f, PATH)
    await until(f, "INPROGRESS")
    # One that is not gone in time would be 423 DELETING.
    assert (await f.delete(f"/job/{PATH}")).status_code == 200
    assert GONE_WITHIN < 2
    assert wrong(await f.get(f"/job/{PATH}")) == (404, "NOT_FOUND")
    assert await world.api.get(JOBS, world.namespace, NAME) is None
    assert (await made(f, PATH))["status"] == "AWAITING"
    await until(f, "INPROGRESS")


@pytest.mark.acceptance("X7")
async def test_credentials_reach_the_worker_and_nobody_else(f: httpx.AsyncClient, world: World) -> None:
    posted = "rtsp://admin:pa%2055@cam.example/1"
    await made(f, PATH, stream_url=posted)
    document = await until(f, "INPROGRESS")
    assert document["stream_url"] == posted
    source = world.worker().spec(NAME).spec.source
    assert (source.url, source.username, source.password) == (URL, "admin", "pa 55")
    job = await world.api.get(JOBS, world.namespace, NAME)
    told = str([job, await world.api.list(EVENTS, world.namespace)])
    assert "pa 55" not in told
    assert "pa%2055" not in told
    await f.patch(f"/job/{PATH}", json={"stream_url": "https://b.example/a.mp4?X-Amz-Signature=s1gn"})
    await eventually(lambda: "s1gn" in _url(world), "the worker has the new address")
    job = await world.api.get(JOBS, world.namespace, NAME)
    assert "s1gn" not in str(job)
    await f.delete(f"/job/{PATH}")

    async def gone() -> bool:
        secrets = (await world.api.list(SECRETS, world.namespace))["items"]
        return not [one for one in secrets if one["metadata"]["name"].startswith(NAME)]

    await eventually(gone, "its Secrets go with it")


@pytest.mark.acceptance("F75")
async def test_what_only_the_api_server_refuses_is_told_as_fs_parameter(f: httpx.AsyncClient) -> None:
    # The gateway's own look at an address passes it.
    body = {"stream_url": URL, "router_url": "http://router.example:000080/"}
    answer = await f.post(f"/job/{PATH}", json=body)
    assert (*wrong(answer), answer.json()["param"]) == (400, "BAD_PARAM", "router_url")


@pytest.mark.acceptance("F62", "F63")
async def test_a_worker_that_comes_back_goes_on(f: httpx.AsyncClient, world: World) -> None:
    await made(f, PATH)
    await until(f, "INPROGRESS")
    world.worker().go_silent()
    await until(f, "DISCONNECTED")
    world.worker().speak()
    await until(f, "INPROGRESS")
    assert world.last(NAME)["epoch"] == 1
