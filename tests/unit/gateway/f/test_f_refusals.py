"""What F does not take, and how it says so."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.f_client import URL, made, wrong
from tests.support.gateway import KEY, NAMESPACE, OTHER_KEY, JobApi, Served, served_over
from tests.unit.kube.fakeapi import refusal


@pytest.mark.acceptance("F70", "F71", "F76", "F90", "X11")
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1]", b'"x"', b'{"enabled": NaN}', b'{"enabled": Infinity}', b"\xff", b"stream_url=x"),
        b'{"enabled": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"stream_url": "rtsp://h/1", "stream_settings": {"x": ' + b'{"a":' * 300 + b"1" + b"}" * 302,
    ],
)
async def test_a_body_that_is_no_object_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    await made(client)
    for answer in (await client.post("/job/cam-2", content=body), await client.patch("/job/cam-1", content=body)):
        assert wrong(answer) == (400, "MALFORMED_REQUEST")


@pytest.mark.acceptance("F75", "X6")
@pytest.mark.parametrize(
    ("body", "param", "value"),
    [
        ({"stream_url": URL, "enabled": "no"}, "enabled", "no"),
        ({"stream_url": "ftp://h/x"}, "stream_url", "ftp://h/x"),
        ({"stream_url": "http://169.254.169.254/"}, "stream_url", "http://169.254.169.254/"),
        ({"stream_url": URL, "router_url": "http://127.0.0.1/"}, "router_url", "http://127.0.0.1/"),
        ({"stream_url": URL, "router_url": "http://u:p@127.0.0.1/"}, "router_url", "http://127.0.0.1/"),
        ({"stream_url": URL, "stream_settings": {"play_speed": "x"}}, "stream_settings.play_speed", "x"),
        ({}, "stream_url", None),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(
    client: httpx.AsyncClient, api: JobApi, body: dict[str, Any], param: str, value: object
) -> None:
    answer = await client.post("/job/cam-1", json=body)
    assert wrong(answer) == (400, "BAD_PARAM")
    assert (answer.json()["param"], answer.json()["value"]) == (param, value)
    assert api.jobs() == []


@pytest.mark.acceptance("F75", "X6", "A46")
@pytest.mark.parametrize("param", ["stream_url", "router_url", "router_events_url"])
@pytest.mark.parametrize("host", ["localhost:8080", "metadata.google.internal", "u:p@instance-data"])
async def test_names_of_the_machine_and_of_metadata_are_refused_in_every_address(
    client: httpx.AsyncClient, api: JobApi, param: str, host: str
) -> None:
    document = await made(client)
    for answer in (
        await client.post("/job/cam-2", json={"stream_url": URL, param: f"http://{host}/x"}),
        await client.patch("/job/cam-1", json={param: f"http://{host}/x"}),
    ):
        assert (*wrong(answer), answer.json()["param"]) == (400, "BAD_PARAM", param)
        assert answer.json()["value"] == f"http://{host.removeprefix('u:p@')}/x"
    assert (await client.get("/jobs")).json() == [document]


@pytest.mark.acceptance("A46")
async def test_the_api_server_is_nobodys_router(api: JobApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    async with served_over(api, tmp_path) as one:
        client = one.client(port="f_port")
        for host in ("10.96.0.1", "kubernetes.default.svc"):
            answer = await client.post("/job/cam-1", json={"stream_url": URL, "router_url": f"https://{host}/api"})
            assert (*wrong(answer), answer.json()["param"]) == (400, "BAD_PARAM", "router_url")
        await made(client, router_url="http://facerouter.ntech.svc.cluster.local:8080/")


@pytest.mark.acceptance("F75")
async def test_what_the_api_server_refuses_is_a_parameter_too(client: httpx.AsyncClient, api: JobApi) -> None:
    causes = [{"field": "spec.labels", "message": "Too many"}]
    api.faults.append(lambda _: refusal(422, "Invalid", "spec.labels: Too many", causes=causes))
    api.faults.insert(0, lambda _: refusal(404, "NotFound"))
    answer = await client.post("/job/cam-1", json={"stream_url": URL})
    assert (*wrong(answer), answer.json()["param"]) == (400, "BAD_PARAM", "labels")


@pytest.mark.acceptance("F79", "F81", "F70", "X6", "A2")
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/job/none", (404, "NOT_FOUND")),
        ("PATCH", "/job/none", (404, "NOT_FOUND")),
        ("DELETE", "/job/none", (404, "NOT_FOUND")),
        ("POST", "/job/none/restart", (404, "NOT_FOUND")),
        ("GET", "/nothing", (404, "NOT_FOUND")),
        ("GET", "/job/", (404, "NOT_FOUND")),
        ("GET", "/", (404, "NOT_FOUND")),
        ("POST", "/jobs", (405, "METHOD_NOT_ALLOWED")),
        ("PUT", "/job/x", (405, "METHOD_NOT_ALLOWED")),
    ],
)
async def test_what_is_not_there_is_told_in_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, expected: tuple[int, str]
) -> None:
    content = b"{}" if method == "PATCH" else None
    assert wrong(await client.request(method, path, content=content)) == expected


@pytest.mark.acceptance("F80", "X6")
async def test_an_api_server_that_is_away_is_unavailable(client: httpx.AsyncClient, api: JobApi) -> None:
    api.always = lambda request: refusal(500, "InternalError") if request.method == "POST" else None
    assert wrong(await client.post("/job/cam-1", json={"stream_url": URL})) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.acceptance("X6")
async def test_a_body_that_is_too_large_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.post("/job/cam-1", content=b"x" * (2**20 + 1))
    assert wrong(answer) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.acceptance("X6")
async def test_who_asks_too_often_waits_where_that_is_set(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, f_requests_per_minute=2, f_anonymous_namespace=NAMESPACE) as one:
        client, other, nobody = (one.client(key, "f_port") for key in (KEY, OTHER_KEY, None))
        assert [(await client.get("/jobs")).status_code for _ in range(3)] == [200, 200, 429]
        refused = await client.post("/job/cam-1", json={"stream_url": URL})
        assert wrong(refused) == (429, "TOO_MANY_REQUESTS")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [(await each.get("/jobs")).status_code for each in (other, nobody)] == [200, 200]
    assert api.jobs() == []


@pytest.mark.acceptance("F74", "X6")
async def test_an_error_that_nobody_foresaw_has_a_code(
    client: httpx.AsyncClient, gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.gateway.context.jobs.cache, "in_namespace", None)
    assert wrong(await client.get("/jobs")) == (500, "UNKNOWN_ERROR")


@pytest.mark.acceptance("A46")
async def test_where_sources_may_be_is_configured(api: JobApi, tmp_path: Path) -> None:
    policy = '{"schemes": ["rtsp"], "allowedCidrs": ["127.0.0.0/8"]}'
    async with served_over(api, tmp_path, source_policy=policy, output_policy='{"deniedCidrs": ["10.0.0.0/8"]}') as one:
        client = one.client(port="f_port")
        await made(client, stream_url="rtsp://127.0.0.1/1")
        for body in (
            {"stream_url": "rtsp://10.1.1.1/"},
            {"stream_url": "rtsp://127.0.0.1/", "router_url": "http://10.0.0.1/"},
        ):
            assert wrong(await client.post("/job/x", json=body)) == (400, "BAD_PARAM")
