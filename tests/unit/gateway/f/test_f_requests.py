"""F over HTTP: jobs made, read, changed and taken away, as a client of video-manager does it."""

import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from aiohttp import web

from tests.support.f_client import ROUTER, SPEC, URL, made, wrong
from tests.support.gateway import NAMESPACE, VIDEOJOBS, JobApi, Served, served_over
from videofleet_api.names import GROUP
from videofleet_gateway.jobs.naming import job_name


@pytest.mark.acceptance("F3", "F10", "F12", "F43", "F88", "X1", "X4")
async def test_a_job_is_made_under_the_clients_id(client: httpx.AsyncClient, api: JobApi) -> None:
    document = await made(client, labels={"district": "SVAO"}, router_url=ROUTER)
    assert (document["id"], document["stream_url"], document["status"]) == ("cam-1", URL, "AWAITING")
    assert (document["enabled"], document["single_pass"], document["labels"]) == (True, False, {"district": "SVAO"})
    (job,) = api.jobs()
    assert job["metadata"]["annotations"] == {f"{GROUP}/f-id": "cam-1"}
    assert job["metadata"]["name"] == job_name("f", "cam-1")
    assert job["spec"] == {
        **SPEC,
        "analytics": [{"name": "main", "steps": [{"model": "detect"}, {"model": "track"}]}],
        "labels": {"district": "SVAO"},
        "outputs": {"router": {"url": ROUTER, "timeout": 15.0, "verifyTls": True, "body": {"cam_id": "cam-1"}}},
    }


@pytest.mark.acceptance("F39", "F82")
async def test_a_router_is_told_the_id_of_the_job(client: httpx.AsyncClient, api: JobApi) -> None:
    """Which is not the name of its VideoJob, and nothing that its client has said of the form."""

    def form() -> object:
        return api.jobs()[0]["spec"]["outputs"]["router"]["body"]

    segment = quote("Eingang Süd/1", safe="")
    document = await made(client, segment, router_url=ROUTER)
    assert document["stream_settings"]["router_body"] == []
    assert form() == {"cam_id": "Eingang Süd/1"}
    path = f"/job/{segment}"
    told = await client.patch(path, json={"stream_settings": {"router_body": ["site = north"]}})
    assert told.json()["stream_settings"]["router_body"] == ["site = north"]
    assert form() == {"cam_id": "Eingang Süd/1", "site": "north"}
    own = await client.patch(path, json={"stream_settings": {"router_body": ["cam_id = 7"]}})
    assert own.json()["stream_settings"]["router_body"] == ["cam_id = 7"]
    assert form() == {"cam_id": "7"}
    same = await client.patch(path, json={})
    assert same.json() == own.json()


@pytest.mark.acceptance("F4", "F5", "F88")
async def test_jobs_are_listed_and_read_one_by_one(client: httpx.AsyncClient) -> None:
    assert (await client.get("/jobs")).json() == []
    first, second = await made(client, "b"), await made(client, "a")
    listed = await client.get("/jobs")
    assert listed.status_code == 200
    assert {one["id"] for one in listed.json()} == {"a", "b"}
    assert all(one in listed.json() for one in (first, second))
    assert (await client.get("/job/b")).json() == first


@pytest.mark.acceptance("F6", "F33", "F88", "A2")
async def test_a_change_is_of_what_is_given_alone(client: httpx.AsyncClient) -> None:
    before = await made(client, labels={"a": "1"}, single_pass=True)
    answer = await client.patch("/job/cam-1", json={"labels": {"b": "2"}, "enabled": False})
    assert answer.status_code == 200
    assert answer.json() == {**before, "labels": {"b": "2"}, "enabled": False, "version": before["version"] + 1}
    assert (await client.get("/job/cam-1")).json() == answer.json()


@pytest.mark.acceptance("F6")
async def test_a_change_is_of_the_job_as_it_is_now_and_not_as_a_replica_has_heard_of_it(
    client: httpx.AsyncClient, api: JobApi, tmp_path: Path
) -> None:
    async with served_over(api, tmp_path) as other:
        there = other.client(port="f_port")
        before = await made(client, labels={"a": "1"}, router_url=ROUTER)
        assert (await there.get("/job/cam-1")).json() == before
        api.muted = True
        await client.patch("/job/cam-1", json={"labels": {"b": "2"}, "enabled": False, "router_url": ""})
        after = (await there.patch("/job/cam-1", json={"labels": {"c": "3"}, "enabled": True})).json()
        assert after == {**before, "labels": {"c": "3"}, "router_url": "", "version": before["version"] + 2}


@pytest.mark.acceptance("F6")
async def test_a_change_that_the_operator_forestalls_is_made_all_the_same(
    client: httpx.AsyncClient, api: JobApi
) -> None:
    await made(client)
    (job,) = api.jobs()
    phases = ["STARTING", "INPROGRESS"]

    def forestalled(request: web.Request) -> None:
        if request.method == "PATCH" and phases:
            api.tell(job, phase=phases.pop(0))

    api.always = forestalled
    after = (await client.patch("/job/cam-1", json={"labels": {"a": "1"}})).json()
    assert (after["labels"], after["status"], phases) == ({"a": "1"}, "INPROGRESS", [])


@pytest.mark.acceptance("F33")
async def test_a_status_is_no_new_version(client: httpx.AsyncClient, api: JobApi, gateway: Served) -> None:
    before = await made(client)
    (job,) = api.jobs()
    seen = gateway.gateway.context.jobs.cache.changed(job["metadata"]["uid"])
    api.tell(job, phase="INPROGRESS", message="")
    await seen
    after = (await client.get("/job/cam-1")).json()
    assert (after["status"], after["version"]) == ("INPROGRESS", before["version"])


@pytest.mark.acceptance("F90")
@pytest.mark.parametrize("body", [b"{}", b'{"enabled": true, "labels": {}}', b'{"id": "cam-1", "status": "x"}'])
async def test_a_change_that_changes_nothing_is_no_new_version(client: httpx.AsyncClient, body: bytes) -> None:
    before = await made(client)
    assert (await client.patch("/job/cam-1", content=body)).json() == before


@pytest.mark.acceptance("F7", "F88")
async def test_a_job_that_was_deleted_is_gone_and_its_id_is_free(client: httpx.AsyncClient, api: JobApi) -> None:
    await made(client)
    assert (await client.delete("/job/cam-1")).status_code == 200
    assert wrong(await client.get("/job/cam-1")) == (404, "NOT_FOUND")
    assert api.jobs() == []
    await made(client)


@pytest.mark.acceptance("F7")
async def test_an_id_that_another_replica_has_just_freed_is_free(client: httpx.AsyncClient, api: JobApi) -> None:
    before = await made(client)
    (job,) = api.jobs()
    # Gone, and this replica has not heard of it yet.
    del api.objects[VIDEOJOBS, NAMESPACE, job["metadata"]["name"]]
    assert await made(client) == before
    assert api.jobs()[0]["metadata"]["uid"] != job["metadata"]["uid"]


@pytest.mark.acceptance("F7")
async def test_a_job_whose_deletion_the_watch_does_not_tell_in_time_is_gone(
    client: httpx.AsyncClient, api: JobApi
) -> None:
    await made(client)

    def unheard(request: web.Request) -> web.Response | None:
        if request.method != "DELETE":
            return None
        (job,) = api.jobs()
        del api.objects[VIDEOJOBS, NAMESPACE, job["metadata"]["name"]]
        return web.json_response({"kind": "Status"})

    api.always = unheard
    assert (await client.delete("/job/cam-1")).status_code == 200
    assert wrong(await client.get("/job/cam-1")) == (404, "NOT_FOUND")
    await made(client)


@pytest.mark.acceptance("F7")
async def test_a_job_that_something_holds_is_being_deleted(
    client: httpx.AsyncClient, api: JobApi, gateway: Served
) -> None:
    await made(client)
    (job,) = api.jobs()

    def held(request: web.Request) -> web.Response | None:
        return web.json_response(job) if request.method == "DELETE" else None

    api.always = held
    assert wrong(await client.delete("/job/cam-1")) == (423, "DELETING")
    known = gateway.gateway.context.jobs.cache.changed(job["metadata"]["uid"])
    name = job["metadata"]["name"]
    api.put(VIDEOJOBS, NAMESPACE, name, metadata={"deletionTimestamp": "2026-01-02T03:04:05Z"})
    await known
    assert wrong(await client.post("/job/cam-1", json={"stream_url": URL})) == (423, "DELETING")


@pytest.mark.acceptance("F8", "F78", "X6")
async def test_an_id_that_is_taken_is_a_conflict(client: httpx.AsyncClient, api: JobApi) -> None:
    await made(client)
    assert wrong(await client.post("/job/cam-1", json={"stream_url": URL})) == (409, "CONFLICT")
    assert len(api.jobs()) == 1


@pytest.mark.acceptance("F9", "F90")
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "text/plain", "x", None])
async def test_a_body_is_read_whatever_it_is_called(client: httpx.AsyncClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind is not None else {}
    body = json.dumps({"stream_url": URL}).encode()
    assert (await client.post("/job/cam-1", content=body, headers=headers)).status_code == 200
    assert (await client.patch("/job/cam-1", content=b'{"enabled": false}', headers=headers)).json()["enabled"] is False


@pytest.mark.acceptance("F91")
@pytest.mark.parametrize("path", ["/jobs/", "/job/cam-1/"])
async def test_a_last_slash_is_no_redirect(client: httpx.AsyncClient, path: str) -> None:
    await made(client)
    assert (await client.get(path)).status_code == 200


@pytest.mark.acceptance("F92", "X4")
@pytest.mark.parametrize(
    ("path", "identifier"),
    [
        ("a%2Fb", "a/b"),
        ("a%2Frestart", "a/restart"),
        ("a%252Fb", "a%2Fb"),
        ("Cam%201.A", "Cam 1.A"),
        ("cam", "cam"),
        ("CAM", "CAM"),
        ("%D0%BA%D0%B0%D0%BC", "\u043a\u0430\u043c"),
        ("...", "..."),
    ],
)
async def test_an_id_may_be_any_text(client: httpx.AsyncClient, path: str, identifier: str) -> None:
    assert (await made(client, path))["id"] == identifier
    assert (await client.get(f"/job/{path}/")).json()["id"] == identifier
    assert [one["id"] for one in (await client.get("/jobs")).json()] == [identifier]
    assert (await client.delete(f"/job/{path}")).status_code == 200


@pytest.mark.acceptance("F92")
async def test_ids_that_differ_in_case_are_two_jobs(client: httpx.AsyncClient) -> None:
    await made(client, "cam")
    await made(client, "CAM")
    assert {one["id"] for one in (await client.get("/jobs")).json()} == {"cam", "CAM"}


@pytest.mark.acceptance("F92", "F75")
async def test_an_id_that_is_no_text_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/job/%FF", json={"stream_url": URL})
    assert (*wrong(answer), answer.json()["param"]) == (400, "BAD_PARAM", "id")


@pytest.mark.acceptance("F89", "F88", "A2")
async def test_a_restart_is_asked_for_in_the_spec(client: httpx.AsyncClient, api: JobApi) -> None:
    before = await made(client)
    first = await client.post("/job/cam-1/restart")
    assert (first.status_code, first.json()) == (200, {**before, "version": before["version"] + 1})
    token = api.jobs()[0]["spec"]["restart"]["token"]
    await client.post("/job/cam-1/restart")
    assert api.jobs()[0]["spec"]["restart"]["token"] != token


@pytest.mark.acceptance("F17", "F37", "F38", "F39", "F41", "F42")
async def test_settings_of_the_file_lie_under_those_of_the_job(api: JobApi, tmp_path: Path) -> None:
    file = tmp_path / "video-manager.yaml"
    file.write_text("stream_settings: {router_timeout_ms: 2000, router_verify_ssl: false}\n")
    async with served_over(api, tmp_path, f_settings_file=file) as one:
        client = one.client(port="f_port")
        document = await made(client, router_url=ROUTER, stream_settings={"router_timeout_ms": 500})
        found = document["stream_settings"]
        assert (found["router_timeout_ms"], found["router_verify_ssl"], found["play_speed"]) == (500, False, -1)
        assert api.jobs()[0]["spec"]["outputs"]["router"] == {
            "url": ROUTER, "timeout": 0.5, "verifyTls": False, "body": {"cam_id": "cam-1"},
        }  # fmt: skip


@pytest.mark.acceptance("F18", "F94")
async def test_what_has_no_effect_is_kept_shown_again_and_warned_of(client: httpx.AsyncClient, api: JobApi) -> None:
    gpu = {"filter_min_quality": -2, "roi": "100x100+0+0", "rot": "10x10+0+0"}
    body = {"stream_url": URL, "stream_settings": {"detectors": {"face": 1}}, "stream_settings_gpu": gpu}
    answer = await client.post("/job/cam-1", json=body)
    document = answer.json()
    assert (document["stream_settings"]["detectors"], document["stream_settings_gpu"]) == ({"face": 1}, gpu)
    assert "detectors is kept and has no effect" in answer.headers["warning"]
    assert "stream_settings_gpu is deprecated" in answer.headers["warning"]
    assert set(api.jobs()[0]["spec"]["streamSettings"]["extra"]) == {"detectors", "stream_settings_gpu"}
    assert "warning" not in (await client.get("/job/cam-1")).headers


@pytest.mark.acceptance("X10")
async def test_there_is_a_head_wherever_there_is_a_get(client: httpx.AsyncClient) -> None:
    await made(client)
    for path in ("/jobs", "/job/cam-1"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.acceptance("X12")
async def test_answers_are_not_kept_by_anybody(client: httpx.AsyncClient) -> None:
    await made(client)
    assert (await client.get("/jobs")).headers["cache-control"] == "no-store"
