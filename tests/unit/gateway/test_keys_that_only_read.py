"""Keys that are for reading only: they see everything of their project, and change nothing of it."""

import httpx
import pytest

from tests.support.f_client import ROUTER, made, wrong
from tests.support.gateway import NAMESPACE, PROJECT, JobApi, Served
from tests.unit.gateway.v_world import PROCESS, TASKS, request, submitted

POSTED = "rtsp://admin:pa55@cam.example/1"


@pytest.fixture
async def reader(gateway: Served) -> str:
    return await gateway.gateway.context.keys.create(PROJECT, NAMESPACE, read_only=True)


async def forbidden(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.acceptance("V9", "X6")
async def test_it_makes_and_cancels_no_task_and_has_no_picture_looked_at(
    gateway: Served, api: JobApi, reader: str
) -> None:
    task, client = await submitted(gateway.client()), gateway.client(reader)
    assert [one["id"] for one in (await client.get(TASKS)).json()["data"]] == [task]
    assert (await client.get(f"{TASKS}/{task}", params={"include": "request"})).status_code == 200
    token = (await client.post(f"{TASKS}/{task}/token")).json()["access_token"]
    stream = f"{TASKS}/{task}/stream"
    assert (await gateway.client(None).head(stream, params={"access_token": token})).status_code == 200
    assert await forbidden(await client.post(PROCESS, json=request()))
    assert await forbidden(await client.post(f"{TASKS}/{task}/cancel"))
    assert await forbidden(await client.post("/v1/vision/ocr", json={"image": "https://a.example/1.jpg"}))
    (job,) = api.jobs()
    assert job["spec"].get("enabled", True) is True


@pytest.mark.acceptance("X7")
async def test_in_f_it_sees_addresses_without_what_leads_into_them(gateway: Served, api: JobApi, reader: str) -> None:
    writer, client = gateway.client(port="f_port"), gateway.client(reader, port="f_port")
    headers = ["Authorization = Bearer t0ken"]
    await made(writer, stream_url=POSTED, router_url=ROUTER, stream_settings={"router_headers": headers})
    told = (await client.get("/job/cam-1")).json()
    assert (await client.get("/jobs")).json() == [told]
    assert (told["stream_url"], told["stream_settings"]["router_headers"]) == ("rtsp://cam.example/1", [])
    whole = (await writer.get("/job/cam-1")).json()
    assert (whole["stream_url"], whole["stream_settings"]["router_headers"]) == (POSTED, headers)
    for answer in (
        await client.post("/job/cam-2", json={"stream_url": "rtsp://cam.example/2"}),
        await client.patch("/job/cam-1", json={"enabled": False}),
        await client.post("/job/cam-1/restart"),
        await client.delete("/job/cam-1"),
    ):
        assert wrong(answer) == (403, "FORBIDDEN")
    assert len(api.jobs()) == 1
    assert (await writer.get("/job/cam-1")).json() == whole
