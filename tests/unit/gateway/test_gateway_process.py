"""What every dialect has in common: health, keys, limits, errors in a shape of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.gateway import KEY, NAMESPACE, PROJECT, JobApi, Served, served_over
from videofleet_gateway.config import Config
from videofleet_gateway.jobs.naming import job_name

TASKS = "/v1/video/tasks"


async def test_health_and_metrics_are_on_a_port_of_their_own(gateway: Served) -> None:
    plain, v = gateway.client(None, "plain_port"), gateway.client()
    assert (await plain.get("/healthz")).text == "ok\n"
    assert (await plain.get("/readyz")).status_code == 200
    await v.get(TASKS)
    assert (
        'videofleet_gateway_requests_total{dialect="v",method="GET",status="200"} 1.0'
        in (await plain.get("/metrics")).text
    )
    assert (await v.get("/metrics")).status_code == 404


async def test_methods_that_clients_make_up_are_one_in_the_metrics(gateway: Served) -> None:
    for name in ("FOO", "BAR"):
        assert (await gateway.client().request(name, TASKS)).status_code == 405
    metrics = (await gateway.client(None, "plain_port").get("/metrics")).text
    assert 'videofleet_gateway_requests_total{dialect="v",method="other",status="405"} 2.0' in metrics
    assert "FOO" not in metrics


async def test_a_gateway_that_has_no_jobs_yet_is_not_ready(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path) as one:
        one.gateway.draining = True
        answer = await one.client(None, "plain_port").get("/readyz")
        assert (answer.status_code, answer.text) == (503, "it is about to stop\n")


@pytest.mark.acceptance("V8", "V100", "X6")
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer vf_unknown"}, {"Authorization": f"Basic {KEY}"}],
    ids=["none", "empty", "unknown", "another scheme"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", TASKS), ("POST", "/v1/video/process"), ("GET", f"{TASKS}/x")])
async def test_a_key_is_required(gateway: Served, headers: dict[str, str], method: str, path: str) -> None:
    answer = await gateway.client(None).request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.acceptance("V8")
async def test_a_revoked_key_is_none(gateway: Served) -> None:
    assert await gateway.gateway.context.keys.revoke(KEY)
    assert (await gateway.client().get(TASKS)).status_code == 401


async def test_keys_are_stored_as_digests(gateway: Served, tmp_path: Path) -> None:
    await gateway.client().get(TASKS)
    for name in ("gateway.db", "gateway.db-wal"):
        assert KEY.encode() not in await asyncio.to_thread((tmp_path / name).read_bytes)


@pytest.mark.acceptance("V10", "X6")
async def test_requests_are_counted_over_a_minute_and_by_project(api: JobApi, tmp_path: Path) -> None:
    assert Config().v_requests_per_minute == 60
    async with served_over(api, tmp_path, v_requests_per_minute=3) as one:
        client = one.client()
        assert [(await client.get(TASKS)).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = await client.get(TASKS)
        assert refused.json()["error"]["code"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.acceptance("V10")
async def test_two_replicas_count_together(api: JobApi, tmp_path: Path) -> None:
    async with (
        served_over(api, tmp_path, v_requests_per_minute=4) as one,
        served_over(api, tmp_path, v_requests_per_minute=4) as two,
    ):
        answers = [await each.client().get(TASKS) for each in (one, two, one, two, one, two)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2


@pytest.mark.acceptance("X6", "V100")
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("DELETE", TASKS, 405, "method_not_allowed"),
        ("GET", f"{TASKS}?limit=0", 400, "invalid_request"),
        ("GET", f"{TASKS}/vt_00000000000000000000000000", 404, "not_found"),
    ],
)
async def test_errors_of_the_framework_have_the_dialects_shape(
    gateway: Served, method: str, path: str, status: int, code: str
) -> None:
    answer = await gateway.client().request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]


@pytest.mark.acceptance("X6")
async def test_what_is_too_large_is_refused_before_it_is_read(gateway: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.gateway.ports["v_port"].port)
    writer.write(
        b"POST /v1/video/process HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
        b"Content-Type: application/json\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")


@pytest.mark.acceptance("X6")
async def test_a_body_that_grows_too_large_is_refused(api: JobApi, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    async with served_over(api, tmp_path, max_body_bytes=65536, max_upload_bytes=65536) as one:
        answer = await one.client().post(
            "/v1/video/process", content=endless(), headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.acceptance("X6")
async def test_another_type_of_body_is_refused(gateway: Served) -> None:
    answer = await gateway.client().post("/v1/video/process", content=b"a=b", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.acceptance("X6")
async def test_an_api_server_that_is_away_is_a_503(gateway: Served, api: JobApi) -> None:
    api.always = lambda request: _unavailable() if request.method == "POST" else None
    body = {"input": [{"type": "video_url", "url": "https://example.com/a.mp4"}], "steps": [{"model": "detect"}]}
    answer = await gateway.client().post("/v1/video/process", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert answer.headers["retry-after"] == "1"


def _unavailable() -> web.Response:
    return web.Response(status=503)


@pytest.mark.acceptance("X6")
async def test_what_goes_wrong_here_is_a_500_without_its_reason(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(namespace: str) -> list[object]:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(gateway.gateway.context.jobs.cache, "in_namespace", broken)
    answer = await gateway.client().get(TASKS, headers={"Origin": "https://page"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_too_many_open_requests_are_refused(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path) as one:
        one.gateway.crowd.limit = 0
        answer = await one.client().get(TASKS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")


@pytest.mark.acceptance("V104")
async def test_pages_of_other_origins_may_ask(gateway: Served) -> None:
    client = gateway.client(None)
    asked = {
        "Origin": "https://page",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, last-event-id",
    }
    preflight = await client.options(f"{TASKS}/x/stream", headers=asked)
    assert preflight.status_code == 204
    for name in ("authorization", "content-type", "last-event-id"):
        assert name in preflight.headers["access-control-allow-headers"]
    refused = await client.get(TASKS, headers={"Origin": "https://page"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "Retry-After" in refused.headers["access-control-expose-headers"]
    assert "X-Request-Id" in refused.headers["access-control-expose-headers"]


async def test_a_request_keeps_its_id_and_gets_one_where_it_has_none(gateway: Served) -> None:
    client = gateway.client()
    assert (await client.get(TASKS, headers={"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    made = [(await client.get(TASKS, headers={"X-Request-Id": bad})).headers["x-request-id"] for bad in ("", "a b")]
    assert len(set(made)) == 2
    assert all(len(one) == 32 for one in made)


@pytest.mark.acceptance("X10")
async def test_head_is_wherever_get_is(gateway: Served) -> None:
    client = gateway.client()
    answer = await client.head(TASKS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await client.head("/v1/video/process")).status_code == 405
    assert (await client.delete(TASKS)).headers["allow"] == "GET, HEAD"
    assert (await client.get("/v1/video/process")).headers["allow"] == "POST"


@pytest.mark.acceptance("X10")
async def test_clients_of_http_1_0_get_a_body_that_ends_with_the_connection(gateway: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.gateway.ports["v_port"].port)
    writer.write(b"GET " + TASKS.encode() + b" HTTP/1.0\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert b'{"data":[],"next_cursor":null}' in answer


@pytest.mark.acceptance("X12")
@pytest.mark.parametrize(("port", "path"), [("v_port", TASKS), ("f_port", "/jobs")])
async def test_json_is_not_stored_and_smaller_for_those_who_ask(gateway: Served, port: str, path: str) -> None:
    client, f = gateway.client(port=port), gateway.client(port="f_port")
    for place in range(8):
        await f.post(f"/job/cam-{place}", json={"stream_url": "rtsp://cam/1", "single_pass": True})
    asked = {"": False, "gzip": True, "deflate, gzip;q=0.5": True, "gzip;q=0": False, "identity": False}
    answers = [await client.get(path, headers={"Accept-Encoding": coding}) for coding in asked]
    for answer, packed in zip(answers, asked.values(), strict=True):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert (answer.headers.get("content-encoding") == "gzip") == packed
        assert answer.json() == answers[0].json()
    sizes = [int(answer.headers["content-length"]) for answer in answers]
    assert sizes[1] < sizes[0]
    assert int((await client.head(path, headers={"Accept-Encoding": "gzip"})).headers["content-length"]) == sizes[1]


async def test_a_project_has_one_namespace(gateway: Served) -> None:
    with pytest.raises(ValueError, match=f"project {PROJECT} has the namespace {NAMESPACE}"):
        await gateway.gateway.context.keys.create(PROJECT, "elsewhere")


@pytest.mark.acceptance("X4")
def test_names_of_jobs_follow_from_their_ids_and_differ_where_these_do() -> None:
    ids = ["a", "A", "a/b", "a-b", "a b", "Камера 1", "x" * 300, "x" * 301, "", "..", "v-1"]
    names = [job_name(dialect, one) for dialect in ("v", "f") for one in ids]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 and name.strip("-") == name and name.isascii() for name in names)
    assert job_name("f", "Камера 1") == job_name("f", "Камера 1")
