"""Videos that come in requests, and addresses that hold secrets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import KEY, NAMESPACE, JobApi, Served, served_over
from tests.unit.gateway.v_world import PROCESS, TASKS, job_of, request, submitted, until
from tests.unit.kube.fakeapi import refusal

SECRETS = "api/v1/secrets"
VIDEO = bytes(range(256)) * 40
BASE = "http://gateway.example:8080"


@pytest.fixture
async def staging(api: JobApi, tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway that takes videos of up to 20,000 bytes."""
    async with served_over(api, tmp_path, staging_url=BASE, max_upload_bytes=20_000) as one:
        yield one


def posted(data: str, **more: Any) -> dict[str, Any]:
    """A request with a video in it."""
    return {"input": [{"type": "video_base64", "data": data, **more}], "steps": [{"model": "detect"}]}


def videos_in(folder: Path) -> list[Path]:
    return list((folder / "archive").glob(".inputs/*/*"))


def encoded(data: bytes = VIDEO) -> str:
    return base64.b64encode(data).decode()


def secret_of(api: JobApi, name: str) -> dict[str, str]:
    data = api.objects[SECRETS, NAMESPACE, name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


async def source_of(api: JobApi, task: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The source of a task's job, and what is in its Secret."""
    source = job_of(api, task)["spec"]["source"]
    name = (source.get("urlSecretRef") or source["credentialsSecretRef"])["name"]
    return source, secret_of(api, name)


@pytest.mark.acceptance("V25", "V26", "A16")
@pytest.mark.parametrize("data", [encoded(), f"data:video/mp4;base64,{encoded()}"], ids=["plain", "data URL"])
async def test_a_video_in_a_request_is_kept_for_the_worker(staging: Served, api: JobApi, data: str) -> None:
    answer = await staging.client().post(PROCESS, json=posted(data))
    assert answer.status_code == 202, answer.text
    source, secret = await source_of(api, answer.json()["id"])
    assert set(source) == {"urlSecretRef"}
    url = secret["url"]
    assert url.startswith(f"{BASE}/v1/video/staged/")
    worker = staging.client(None)
    path = url.removeprefix(BASE)
    whole = await worker.get(path)
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, VIDEO, "bytes")
    part = await worker.get(path, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, VIDEO[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(VIDEO)}"
    rest = await worker.get(path, headers={"Range": "bytes=10000-"})
    assert (rest.status_code, rest.content) == (206, VIDEO[10000:])
    assert (await worker.get(path, headers={"Range": "bytes=99999-"})).status_code == 416
    head = await worker.head(path)
    assert (head.headers["content-length"], head.content) == (str(len(VIDEO)), b"")


@pytest.mark.acceptance("A16")
async def test_a_data_address_is_a_video_too(staging: Served, api: JobApi) -> None:
    video = {"type": "video_base64", "url": f"data:video/mp4;base64,{encoded()}"}
    answer = await staging.client().post(PROCESS, json={"input": [video], "steps": [{"model": "detect"}]})
    assert answer.status_code == 202
    assert (await source_of(api, answer.json()["id"]))[1]["url"].startswith(BASE)


async def test_nobody_else_gets_the_video(staging: Served, api: JobApi) -> None:
    task = (await staging.client().post(PROCESS, json=posted(encoded()))).json()["id"]
    url = (await source_of(api, task))[1]["url"].removeprefix(BASE)
    client = staging.client()
    assert (await client.get(url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code == 404
    assert (await client.get(url.partition("?")[0])).status_code == 404


@pytest.mark.acceptance("V106", "A16")
async def test_a_video_that_is_too_large_is_refused_before_it_is_kept(
    staging: Served, api: JobApi, tmp_path: Path
) -> None:
    answer = await staging.client().post(PROCESS, json=posted(encoded(b"x" * 20_001)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert not api.jobs()
    assert not await asyncio.to_thread(videos_in, tmp_path)
    assert (await staging.client().post(PROCESS, json=posted(encoded(b"x" * 20_000)))).status_code == 202


@pytest.mark.acceptance("V26", "V106")
async def test_a_large_video_is_kept_in_parts_and_is_none_where_it_comes_to_nothing(
    api: JobApi, tmp_path: Path
) -> None:
    video = bytes(range(256)) * 40_000
    async with served_over(api, tmp_path, staging_url=BASE) as one:
        client, worker = one.client(), one.client(None)
        answer = await client.post(PROCESS, json=posted(f"data:video/mp4;base64,{encoded(video)}"))
        assert answer.status_code == 202, answer.text
        path = (await source_of(api, answer.json()["id"]))[1]["url"].removeprefix(BASE)
        assert len(await asyncio.to_thread(videos_in, tmp_path)) > 1
        assert (await worker.get(path)).content == video
        part = await worker.get(path, headers={"Range": "bytes=4000000-8999999"})
        assert (part.status_code, part.content) == (206, video[4_000_000:9_000_000])
        await client.post(f"{TASKS}/{answer.json()['id']}/cancel")
        api.tell(job_of(api, answer.json()["id"]), phase="DISABLED", run=1, epoch=1, finished=True)

        async def nothing() -> bool:
            return not await asyncio.to_thread(videos_in, tmp_path)

        await until(nothing, "the video is removed")
        for wrong in (
            posted(encoded(video)) | {"steps": [{"model": "gpt"}]},
            posted(encoded(video) + "?"),
            posted(encoded(video)) | {"steps": []},
        ):
            assert (await client.post(PROCESS, json=wrong)).status_code == 400
            assert await nothing()


@pytest.mark.acceptance("V106")
async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(staging: Served) -> None:
    body = json.dumps(posted(encoded())).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", staging.gateway.ports["v_port"].port)
    head = f"POST {PROCESS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
    async with asyncio.timeout(120):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202")
    writer.close()


@pytest.mark.acceptance("V106")
async def test_what_a_request_shows_later_has_no_video_in_it(staging: Served) -> None:
    client = staging.client()
    task = (await client.post(PROCESS, json=posted(encoded(), max_frames=3))).json()["id"]
    shown = await client.get(f"{TASKS}/{task}", params={"include": "request"})
    assert shown.json()["request"]["input"] == [{"type": "video_base64", "max_frames": 3}]
    assert "staged" not in shown.text


@pytest.mark.parametrize("data", ["@@@@", "", "====", "data:video/mp4;base64,"])
async def test_what_is_no_base64_is_refused(staging: Served, api: JobApi, data: str) -> None:
    answer = await staging.client().post(PROCESS, json=posted(data))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("input.0")
    assert not api.jobs()


async def test_a_request_that_is_wrong_elsewhere_keeps_no_video(staging: Served, tmp_path: Path) -> None:
    body = posted(encoded()) | {"steps": [{"model": "gpt"}]}
    assert (await staging.client().post(PROCESS, json=body)).status_code == 400
    assert not await asyncio.to_thread(videos_in, tmp_path)


async def test_a_video_goes_when_its_task_is_over(staging: Served, api: JobApi) -> None:
    client = staging.client()
    task = (await client.post(PROCESS, json=posted(encoded()))).json()["id"]
    path = (await source_of(api, task))[1]["url"].removeprefix(BASE)
    api.tell(job_of(api, task), phase="COMPLETED", run=1, epoch=1, finished=True)

    async def gone() -> bool:
        return (await client.get(path)).status_code == 404

    await until(gone, "the video is removed")


async def test_a_gateway_that_no_worker_reaches_takes_none(gateway: Served) -> None:
    answer = await gateway.client().post(PROCESS, json=posted(encoded()))
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_implemented")


@pytest.mark.acceptance("V27", "X7")
@pytest.mark.parametrize(
    ("url", "source", "kept"),
    [
        pytest.param(
            "https://b.example/a.mp4?X-Amz-Signature=abcdef&X-Amz-Credential=AKIA",
            {"urlSecretRef"},
            {"url": "https://b.example/a.mp4?X-Amz-Signature=abcdef&X-Amz-Credential=AKIA"},
            id="signed",
        ),
        pytest.param(
            "rtsp://joe:p%40ss@camera.example/1",
            {"url", "credentialsSecretRef"},
            {"username": "joe", "password": "p@ss"},
            id="password",
        ),
    ],
)
async def test_secrets_of_addresses_are_kept_apart(
    gateway: Served, api: JobApi, url: str, source: set[str], kept: dict[str, str]
) -> None:
    client = gateway.client()
    task = await submitted(client, video={"url": url})
    written, secret = await source_of(api, task)
    assert set(written) == source
    assert kept.items() <= secret.items()
    told = str(job_of(api, task)) + (await client.get(f"{TASKS}/{task}", params={"include": "request"})).text
    for hidden in ("abcdef", "AKIA", "p%40ss", "p@ss", "joe"):
        assert hidden not in told


@pytest.mark.acceptance("X7")
async def test_a_job_whose_secret_cannot_be_made_is_none(gateway: Served, api: JobApi) -> None:
    api.always = lambda asked: _refused() if asked.method == "POST" and asked.path.endswith("/secrets") else None
    body = request({"url": "https://b.example/a.mp4?X-Amz-Signature=abcdef"})
    answer = await gateway.client().post(PROCESS, json=body)
    assert answer.status_code == 503
    assert not api.jobs()


def _refused() -> Any:
    return refusal(403, "Forbidden", "secrets is forbidden")
