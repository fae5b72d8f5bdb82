"""What of a posted job must not stand in its spec."""

import json
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from tests.support.f_client import ROUTER, SECRETS, URL, made, secrets, seen, wrong
from tests.support.gateway import NAMESPACE, PROJECT, JobApi, Served, served_over
from tests.unit.kube.fakeapi import refusal


@pytest.mark.acceptance("X7")
@pytest.mark.parametrize(
    "posted",
    [
        "rtsp://admin:pa%2055@cam.example/1",
        "https://bucket.example/a.mp4?X-Amz-Signature=pa55",
        "https://h.example/" + "pa55" * 600,
    ],
    ids=["user", "signature", "long"],
)
async def test_credentials_of_an_address_are_in_a_secret_of_the_jobs(
    client: httpx.AsyncClient, api: JobApi, posted: str
) -> None:
    document = await made(client, stream_url=posted)
    (job,) = api.jobs()
    assert document["stream_url"] == (await client.get("/job/cam-1")).json()["stream_url"] == posted
    assert "pa55" not in json.dumps(job)
    assert "pa%2055" not in json.dumps(job)
    (secret,) = api.collection(SECRETS)
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert secret["immutable"] is True
    assert secrets(api)[secret["metadata"]["name"]]["posted"] == posted


@pytest.mark.acceptance("X7")
async def test_another_replica_reads_the_address_as_it_was_posted(api: JobApi, tmp_path: Path) -> None:
    posted = "rtsp://admin:pa55@cam.example/1"
    async with served_over(api, tmp_path) as one, served_over(api, tmp_path) as two:
        await made(one.client(port="f_port"), stream_url=posted)
        assert (await two.client(port="f_port").get("/job/cam-1")).json()["stream_url"] == posted


@pytest.mark.acceptance("X7", "F6")
async def test_with_another_address_the_former_secret_goes(client: httpx.AsyncClient, api: JobApi) -> None:
    await made(client, stream_url="rtsp://admin:old@cam.example/1")
    former = set(secrets(api))
    await client.patch("/job/cam-1", json={"stream_url": "rtsp://admin:new@cam.example/1"})
    (kept,) = secrets(api).items()
    assert kept[0] not in former
    assert kept[1]["password"] == "new"
    assert api.jobs()[0]["spec"]["source"] == {
        "url": "rtsp://cam.example/1",
        "credentialsSecretRef": {"name": kept[0]},
    }
    await client.patch("/job/cam-1", json={"stream_url": URL})
    assert secrets(api) == {}
    assert api.jobs()[0]["spec"]["source"] == {"url": URL}


@pytest.mark.acceptance("F39", "F85", "X7")
async def test_headers_of_the_router_are_in_a_secret(client: httpx.AsyncClient, api: JobApi) -> None:
    headers = ["Authorization = Token pa55"]
    document = await made(client, router_url=ROUTER, stream_settings={"router_headers": headers})
    assert document["stream_settings"]["router_headers"] == headers
    assert "pa55" not in json.dumps(api.jobs())
    ((name, data),) = secrets(api).items()
    assert data == {"Authorization": "Token pa55"}
    assert api.jobs()[0]["spec"]["outputs"]["router"]["headersSecretRef"] == {"name": name}
    after = await client.patch("/job/cam-1", json={"stream_settings": {"router_timeout_ms": 100}})
    assert after.json()["stream_settings"]["router_headers"] == headers
    assert set(secrets(api)) == {name}
    await client.patch("/job/cam-1", json={"stream_settings": {"router_headers": []}})
    assert secrets(api) == {}


@pytest.mark.acceptance("F14", "F15", "X7")
async def test_credentials_of_the_routers_addresses_are_in_a_secret(
    client: httpx.AsyncClient, gateway: Served, api: JobApi
) -> None:
    posted = {"router_url": "https://me:pa55@router.example/", "router_events_url": "https://h.example/?token=pa55"}
    document = await made(client, **posted)
    assert {name: document[name] for name in posted} == posted
    assert (await client.get("/job/cam-1")).json() == document
    assert "pa55" not in json.dumps(api.jobs())
    ((name, data),) = secrets(api).items()
    assert data == {"url": posted["router_url"], "eventsUrl": posted["router_events_url"]}
    router = {"urlSecretRef": {"name": name, "key": "url"}, "eventsUrlSecretRef": {"name": name, "key": "eventsUrl"}}
    assert router.items() <= api.jobs()[0]["spec"]["outputs"]["router"].items()
    # Another setting leaves them where they are; with another address they are in another Secret.
    await client.patch("/job/cam-1", json={"stream_settings": {"router_timeout_ms": 100}})
    assert set(secrets(api)) == {name}
    after = (await client.patch("/job/cam-1", json={"router_url": ROUTER})).json()
    assert (after["router_url"], after["router_events_url"]) == (ROUTER, posted["router_events_url"])
    ((other, data),) = secrets(api).items()
    assert other != name
    assert data == {"eventsUrl": posted["router_events_url"]}
    key = await gateway.gateway.context.keys.create(PROJECT, NAMESPACE, read_only=True)
    told = await gateway.client(key, "f_port").get("/job/cam-1")
    assert "pa55" not in told.text
    await client.patch("/job/cam-1", json={"router_events_url": ""})
    assert secrets(api) == {}


@pytest.mark.acceptance("X7", "X8")
async def test_addresses_in_secrets_of_others_stay_where_they_are(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, f_adopt_foreign=True) as one:
        client, ref = one.client(port="f_port"), {"name": "theirs", "key": "k"}
        await seen(api, one, outputs={"router": {"urlSecretRef": ref, "eventsUrl": "https://h.example/?token=x"}})
        assert (await client.get("/job/foreign")).json()["router_url"] == "***"
        for change in ({"labels": {"a": "b"}}, {"router_url": "***", "enabled": False}):
            assert (await client.patch("/job/foreign", json=change)).status_code == 200
        (job,) = api.jobs()
        assert job["spec"]["outputs"]["router"]["urlSecretRef"] == ref
        assert job["spec"]["outputs"]["router"]["eventsUrl"] == "https://h.example/?token=x"
        assert wrong(await client.post("/job/new", json={"stream_url": URL, "router_url": "***"})) == (400, "BAD_PARAM")


@pytest.mark.acceptance("X7")
async def test_a_job_whose_secret_cannot_be_made_is_not_made(client: httpx.AsyncClient, api: JobApi) -> None:
    def no_secrets(request: web.Request) -> web.Response | None:
        return refusal(403, "Forbidden") if "/secrets" in request.path and request.method == "POST" else None

    api.always = no_secrets
    answer = await client.post("/job/cam-1", json={"stream_url": "rtsp://admin:pa55@cam.example/1"})
    assert wrong(answer) == (503, "SERVICE_UNAVAILABLE")
    assert api.jobs() == []


@pytest.mark.acceptance("X7")
async def test_credentials_are_in_no_log(
    client: httpx.AsyncClient, api: JobApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for url in ("rtsp://admin:pa55@cam.example/1", "rtsp://admin:pa55@127.0.0.1/1", "x://admin:pa55@h/"):
        answer = await client.post(
            "/job/cam-1", json={"stream_url": url, "colour": "x", "stream_settings": {"roi": url}}
        )
        assert "pa55" not in str(answer.headers)
        assert answer.status_code == 200 or "pa55" not in answer.text
    assert "pa55" not in caplog.text
