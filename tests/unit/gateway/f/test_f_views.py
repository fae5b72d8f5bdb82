"""Streams looked at through the gateway: a real worker, a camera, and clients that send no header of their own."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.archives import becomes
from tests.support.authority import POD, POOL_NAMESPACE, Keys
from tests.support.cameras import CameraSimulator
from tests.support.f_client import SPEC, made
from tests.support.gateway import KEY, NAMESPACE, JobApi, Served, served_over
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from videofleet_api.protocol import JobState
from videofleet_api.redaction import redact_url
from videofleet_gateway import workers
from videofleet_kube.resources import Json

PODS = "api/v1/pods"
JPEG = b"\xff\xd8"


@dataclass
class Stage:
    """A gateway, a worker, and a job that the worker has."""

    api: JobApi
    gateway: Served
    operator: WorkerClient
    job: Json

    async def document(self) -> dict[str, Any]:
        """The job as F shows it."""
        found: dict[str, Any] = (await self.gateway.client(port="f_port").get("/job/cam-1")).json()
        return found


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with CameraSimulator(["--cameras", "1"]) as running:
        yield running.rtsp("/cam1")


@pytest.fixture
async def stage(
    api: JobApi, tmp_path: Path, worker: WorkerProcess, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(workers, "WORKER_API_PORT", worker.api_port)
    async with (
        served_over(api, tmp_path, worker_tls=keys.reader) as gateway,
        WorkerClient(worker, keys.operator) as operator,
    ):
        operator.term = int((await operator.get("/v1/info")).body["term"]) + 1
        await made(gateway.client(port="f_port"))
        (job,) = api.jobs()
        yield Stage(api, gateway, operator, job)
        await operator.assign()


async def given_out(api: JobApi, gateway: Served, job: Json) -> None:
    """What the operator says of a job that the worker has."""
    pod = api.put(PODS, POOL_NAMESPACE, POD, status={"podIP": "127.0.0.1"})
    at = {"name": POD, "pool": f"{POOL_NAMESPACE}/pool", "id": pod["metadata"]["uid"], "instance": "x"}
    seen = gateway.gateway.context.jobs.cache.changed(job["metadata"]["uid"])
    api.tell(job, phase="STARTING", worker=at)
    await seen


async def assigned(stage: Stage) -> None:
    """The same, of the job on the stage."""
    await given_out(stage.api, stage.gateway, stage.job)


async def running(stage: Stage, url: str, **spec: Any) -> dict[str, Any]:
    """The job, once frames of it have been analysed."""
    uid = stage.job["metadata"]["uid"]
    await stage.operator.assign(file_job(url, uid, singlePass=False, **spec))
    await stage.operator.until(uid, {JobState.RUNNING})
    await assigned(stage)
    return await stage.document()


@pytest.mark.acceptance("F29", "F30", "F31", "F93")
async def test_without_a_worker_there_is_nothing_to_see(stage: Stage) -> None:
    document = await stage.document()
    assert [document[name] for name in ("restream_url", "restream_direct_url", "shots_url")] == ["", "", ""]


@pytest.mark.acceptance("F93")
async def test_addresses_of_views_are_absolute_as_the_client_reaches_the_gateway(stage: Stage) -> None:
    await assigned(stage)
    client, own = stage.gateway.client(port="f_port"), stage.gateway.url("f_port")
    document = await stage.document()
    assert document["shots_url"].startswith(f"{own}/streams/")
    assert document["restream_url"].startswith(f"ws{own.removeprefix('http')}/streams/")
    behind = {"X-Forwarded-Host": "video.example", "X-Forwarded-Proto": "https"}
    document = (await client.get("/job/cam-1", headers=behind)).json()
    assert document["shots_url"].startswith("https://video.example/streams/")
    assert document["restream_direct_url"].startswith("wss://video.example/streams/")
    odd = (await client.get("/job/cam-1", headers={"X-Forwarded-Host": "a/b"})).json()
    assert odd["shots_url"] == ""


@pytest.mark.acceptance("F93")
async def test_a_public_address_goes_before_what_requests_say(api: JobApi, tmp_path: Path, keys: Keys) -> None:
    async with served_over(api, tmp_path, worker_tls=keys.reader, public_url="https://v.example/f/") as one:
        await made(one.client(port="f_port"))
        (job,) = api.jobs()
        await given_out(api, one, job)
        document = (await one.client(port="f_port").get("/job/cam-1")).json()
        assert document["restream_url"].startswith("wss://v.example/f/streams/")


@pytest.mark.acceptance("F29", "F30", "F31", "F93")
async def test_a_camera_is_watched_in_three_ways_without_a_header(
    stage: Stage, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await running(stage, camera)
    async with httpx.AsyncClient() as stranger:
        shot = await stranger.get(document["shots_url"])
    assert (shot.status_code, shot.headers["content-type"], shot.headers["cache-control"]) == (
        200,
        "image/jpeg",
        "no-store",
    )
    assert shot.content[:2] == JPEG
    async with connect(document["restream_url"]) as socket:
        pictures = [await socket.recv() for _ in range(3)]
    assert all(isinstance(picture, bytes) and picture[:2] == JPEG for picture in pictures)
    async with connect(document["restream_direct_url"]) as socket:
        announced = json.loads(await socket.recv())
        film = b"".join([bytes(await socket.recv(decode=False)) for _ in range(12)])
    assert announced["mime_type"].startswith("video/mp4")
    with av.open(io.BytesIO(film)) as player:
        assert sum(1 for _ in player.decode(video=0)) >= 1
    # A worker is not believed: it parses what strangers send, and may answer without end.
    monkeypatch.setattr(workers, "_LONGEST_PICTURE", 100)
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(document["shots_url"])).json()["code"] == "SERVICE_UNAVAILABLE"


@pytest.mark.acceptance("F29")
async def test_a_view_ends_with_the_job(stage: Stage, camera: str) -> None:
    document = await running(stage, camera)
    async with connect(document["restream_url"]) as socket:
        await socket.recv()
        await stage.operator.assign()
        async with asyncio.timeout(120):
            async for _ in socket:
                continue
    assert socket.close_code == 1001


@pytest.mark.acceptance("F31", "F77")
async def test_before_the_first_frame_there_is_no_picture(stage: Stage) -> None:
    await assigned(stage)
    document = await stage.document()
    answer = await stage.gateway.client(None, "f_port").get(document["shots_url"])
    assert (answer.status_code, answer.json()["code"]) == (404, "CACHE_MISS")
    with pytest.raises(InvalidStatus) as refused:
        await connect(document["restream_url"])
    assert refused.value.response.status_code == 404


@pytest.mark.acceptance("F30")
async def test_what_is_masked_has_no_view_past_the_masks(stage: Stage, camera: str) -> None:
    corner = [{"x": 0, "y": 0}, {"x": 0.2, "y": 0}, {"x": 0.2, "y": 0.2}]
    document = await running(stage, camera, privacyMasks=[{"polygon": corner, "mode": "black"}])
    with pytest.raises(InvalidStatus) as refused:
        await connect(document["restream_direct_url"])
    assert refused.value.response.status_code == 409
    assert json.loads(refused.value.response.body or b"")["code"] == "CONFLICT"


async def test_an_address_that_was_not_given_out_leads_nowhere(stage: Stage) -> None:
    await assigned(stage)
    document = await stage.document()
    client = stage.gateway.client(KEY, "f_port")
    token = document["shots_url"].rpartition("=")[2]
    for wrong in ("0" * 32, token[:-1], token.upper(), ""):
        answer = await client.get(document["shots_url"].replace(token, wrong))
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    with pytest.raises(InvalidStatus):
        await connect(document["restream_url"].replace(token, "0" * 32))


@pytest.mark.acceptance("F80")
async def test_a_worker_that_does_not_answer_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await assigned(stage)
    document = await stage.document()
    monkeypatch.setattr(workers, "WORKER_API_PORT", 1)
    answer = await stage.gateway.client(None, "f_port").get(document["shots_url"])
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.acceptance("X7")
async def test_what_opens_a_view_is_masked_wherever_addresses_are(stage: Stage) -> None:
    await assigned(stage)
    document = await stage.document()
    for name in ("restream_url", "restream_direct_url", "shots_url"):
        assert redact_url(document[name]).endswith("?token=***")


@pytest.mark.acceptance("X6")
async def test_views_count_as_open_requests(stage: Stage, camera: str) -> None:
    document = await running(stage, camera)
    crowd = stage.gateway.gateway.crowd
    async with connect(document["restream_url"]) as socket:
        await socket.recv()
        assert crowd.open == 1
        crowd.limit = 1
        with pytest.raises(InvalidStatus) as refused:
            await connect(document["restream_url"])
        answer = refused.value.response
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.body)["code"] == "SERVICE_UNAVAILABLE"
    crowd.limit = 10
    await becomes(lambda: crowd.open == 0, "nobody watches")


async def test_another_pod_of_the_name_is_not_the_worker(stage: Stage) -> None:
    await assigned(stage)
    document = await stage.document()
    stage.api.remove(PODS, POOL_NAMESPACE, POD)
    stage.api.put(PODS, POOL_NAMESPACE, POD, status={"podIP": "127.0.0.1"})
    answer = await stage.gateway.client(None, "f_port").get(document["shots_url"])
    assert (answer.status_code, answer.json()["code"]) == (404, "CACHE_MISS")


async def test_without_a_key_pair_no_views_are_offered(api: JobApi, gateway: Served) -> None:
    job = api.job("foreign", NAMESPACE, spec=SPEC)
    await given_out(api, gateway, job)
    document = (await gateway.client(port="f_port").get("/job/foreign")).json()
    assert (document["worker_id"] != "", document["shots_url"]) == (True, "")
