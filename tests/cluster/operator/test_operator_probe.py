"""`kubectl videojob probe` through a real operator to (simulated) workers."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.cluster.operator.conftest import Shared
from tests.cluster.operator.harness import JOBS, POOLS, World
from tests.support.cli import Cli
from videofleet_api.codes import ErrorCode
from videofleet_api.probe import ProbeReport
from videofleet_kube.resources import SECRETS, Resource

URL = "rtsp://camera.example:8554/1"


@pytest.fixture
def cli(world: World, shared: Shared, kubeconfig: str) -> Cli:
    return Cli(kubeconfig, world.namespace, f"http://127.0.0.1:{shared.process.port}")


async def uid(world: World, resource: Resource, name: str) -> str:
    found = await world.api.get(resource, world.namespace, name)
    assert found is not None
    return str(found["metadata"]["uid"])


async def test_a_source_with_the_credentials_of_a_secret(world: World, cli: Cli) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.secret("login", username="viewer", password="pa55w0rd")
    world.scripts.found = ProbeReport(works=True, codec="h264", width=1920, height=1080, frames=50, message="pa55w0rd")
    told = await cli("probe", URL, "--secret", "login", "--timeout", "7", "-o", "json")
    assert told.code == 0, told.err
    (asked,) = world.scripts.probed
    assert (asked.source.url, asked.source.username, asked.source.password) == (URL, "viewer", "pa55w0rd")
    assert asked.timeout == 7
    assert (told.json["report"]["codec"], told.json["worker"]) == ("h264", world.worker().name)
    assert "pa55w0rd" not in told.out + told.err, "whatever a worker says"
    shown = await cli("probe", URL, "--pool", f"{world.namespace}/{world.pool_name}")
    assert shown.code == 0, shown.err
    assert "h264, 1920x1080" in shown.out


async def test_a_source_that_does_not_work_ends_with_1(world: World, cli: Cli) -> None:
    await world.pool()
    await world.until_workers(1)
    world.scripts.found = ProbeReport(works=False, code=ErrorCode.AUTH, message="the camera wants another password")
    told = await cli("probe", URL)
    assert told.code == 1
    assert "it does not work: AUTH, the camera wants another password" in told.out


async def test_the_source_of_a_job(world: World, cli: Cli) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.secret("login", username="viewer", password="pa55w0rd")
    await world.job("camera", source={"url": URL, "credentialsSecretRef": {"name": "login"}})
    await world.until("camera", "INPROGRESS")
    told = await cli("probe", "camera")
    assert told.code == 0, told.err
    (asked,) = world.scripts.probed
    assert (asked.source.url, asked.source.password) == (URL, "pa55w0rd")


async def test_what_the_asker_does_not_show_that_he_may_read_is_not_used(world: World, shared: Shared) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.secret("login", username="viewer", password="pa55w0rd")
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    pool, job = await uid(world, POOLS, world.pool_name), await uid(world, JOBS, "camera")
    source = {"url": URL, "credentialsSecretRef": {"name": "login"}}

    def post(question: dict[str, Any]) -> tuple[int, str]:
        body = json.dumps(question).encode()
        try:
            address = f"http://127.0.0.1:{shared.process.port}/v1/probe"
            with urllib.request.urlopen(urllib.request.Request(address, body), timeout=30) as answer:
                return int(answer.status), ""
        except urllib.error.HTTPError as error:
            return error.code, str(json.load(error)["error"])

    async def ask(**question: Any) -> tuple[int, str]:
        return await asyncio.to_thread(post, question)

    known = await uid(world, SECRETS, "login")
    of_secret = {"pool": pool, "source": source, "namespace": world.namespace}
    unknown = f"there is no Secret {world.namespace}/login with the uid that was given"
    assert await ask(**of_secret, secret=job) == (404, unknown)
    assert (await ask(**of_secret))[0] == 404
    assert (await ask(pool=job, source=source, namespace=world.namespace, secret=known))[0] == 404
    assert (await ask(job=pool))[0] == 404
    assert await ask(source=source, namespace=world.namespace, secret=known) == (400, "give pool, or job")
    assert (await ask(pool=pool, job=job, timeout=1000))[0] == 400
    assert world.scripts.probed == []
    assert (await ask(**of_secret, secret=known))[0] == 200


async def test_words_for_what_cannot_be_asked(world: World, cli: Cli) -> None:
    nowhere = await cli("probe", URL)
    assert (nowhere.code, "has none: give the one that is to look, --pool" in nowhere.err) == (1, True)
    await world.pool(minWorkers=0)
    empty = await cli("probe", URL)
    assert (empty.code, "answers now" in empty.err) == (1, True)
    inside = await cli("probe", "rtsp://viewer:pa55w0rd@camera.example/1")
    assert (inside.code, "give --secret NAME" in inside.err, "pa55w0rd" in inside.err) == (1, True, False)
