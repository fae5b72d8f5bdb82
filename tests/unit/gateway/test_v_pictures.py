"""Single pictures: a client, a gateway, and a real worker with its models; nothing between them but sockets."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import OTHER_KEY, JobApi, Served, served_over
from tests.support.pools import PoolOfOne
from tests.support.scenes import astronaut, canvas, write
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.gateway.v_world import until
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from videofleet_api.protocol import JobState
from videofleet_api.vision import LARGEST_PICTURE

LINES = ("Gate 42 closes 17:40", "ENTRANCE")


def scene(kind: str = "PNG") -> bytes:
    """Somebody and two lines of writing."""
    picture = canvas()
    picture.paste(astronaut().resize((640, 640)), (600, 80))
    for place, line in enumerate(LINES):
        write(picture, line, 80, 200 + 220 * place)
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def data_uri(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with serving() as server:
        server.pages["/scene.jpg"] = Page(scene("JPEG"), login="reader:0pen")
        server.pages["/scene.bmp"], server.pages["/scene.tiff"] = Page(scene("BMP")), Page(scene("TIFF"))
        server.pages["/page.html"] = Page(b"<html>" * 100)
        yield server


async def post(client: httpx.AsyncClient, what: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/vision/{what}", json=body)


async def refusal(client: httpx.AsyncClient, what: str, **body: Any) -> tuple[int, str, str | None]:
    answer = await post(client, what, **body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("param")


async def told(client: httpx.AsyncClient, **body: Any) -> str:
    """What is said of a picture that is not taken."""
    answer = await post(client, "ocr", **body)
    error: dict[str, str] = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "image"), answer.text
    return error["message"]


@pytest.mark.acceptance("V7", "V8")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_writing_and_objects_of_a_picture_in_the_request(seeing: Served, kind: str) -> None:
    client, image = seeing.client(), data_uri(scene(kind.upper()), kind)
    read = await post(client, "ocr", image_base64=image)
    assert read.status_code == 200, read.text
    body = read.json()
    assert set(body) == {"text", "blocks", "model", "usage"}
    assert [block["text"] for block in body["blocks"] if block["text"] in LINES] == list(LINES)
    assert body["text"] == "\n".join(block["text"] for block in body["blocks"])
    for block in body["blocks"]:
        x1, y1, x2, y2 = block["bbox"]
        assert 0 <= x1 < x2 <= 1280
        assert 0 <= y1 < y2 <= 720
        assert 0 < block["confidence"] <= 1
    assert body["model"] == "pp-ocrv4-rec"
    assert body["usage"]["processed_frames"] == 1
    assert body["usage"]["processing_time_ms"] >= 1

    found = (await post(client, "detect", image_base64=image, model="some-hint")).json()
    assert "pedestrian" in {one["class"] for one in found["objects"]}
    assert found["model"] == "some-hint"
    parameters = {"classes": ["person"], "confidence": 0.5}
    asked = (await post(client, "detect", image_base64=image, parameters=parameters)).json()
    assert {one["class"] for one in asked["objects"]} == {"person"}, "in the words of the request"
    assert all(one["confidence"] >= 0.5 for one in asked["objects"])


@pytest.mark.acceptance("V7", "A46")
async def test_a_picture_at_an_address_goes_through_the_one_policy(seeing: Served, web: WebServer) -> None:
    client = seeing.client()
    url = web.url("/scene.jpg").replace("://", "://reader:0pen@")
    body = (await post(client, "ocr", image=url)).json()
    assert set(LINES) <= {block["text"] for block in body["blocks"]}
    for address in (
        *("ftp://example.com/a.jpg", "file:///etc/passwd", "http://169.254.169.254/a.jpg", "http://0x7f.1/a"),
        "http://metadata.google.internal/a.jpg",
    ):
        assert await refusal(client, "detect", image=address) == (400, "invalid_request", "image"), address
    # Of no other kind, and no larger, than one that comes along.
    for path, why in (("/scene.bmp", "a BMP picture"), ("/scene.tiff", "a TIFF picture"), ("/page.html", "no picture")):
        message = await told(client, image=web.url(path).replace("://", "://reader:0pen@"))
        assert f"{path}: it is {why}" in message
        assert message.endswith("JPEG, PNG and WebP of up to 8192x8192 can be read")
        assert "0pen" not in message
    for size, read in ((LARGEST_PICTURE, True), (LARGEST_PICTURE + 1, False)):
        web.pages["/large.jpg"] = Page(scene("JPEG").ljust(size, b"\0"))
        answer = await post(client, "detect", image=web.url("/large.jpg"))
        assert (answer.status_code == 200) is read, answer.text
    assert f"larger than {LARGEST_PICTURE} bytes" in await told(client, image=web.url("/large.jpg"))
    for path in ("/scene.jpg", "/none.jpg"):
        assert await refusal(client, "ocr", image=web.url(path)) == (400, "invalid_request", "image"), path


@pytest.mark.acceptance("V7", "V100")
async def test_what_is_refused(seeing: Served) -> None:
    client, image = seeing.client(), data_uri(scene())
    assert await refusal(client, "describe", image_base64=image) == (501, "not_implemented", None)
    nothing = await refusal(client, "ocr")
    both = await refusal(client, "ocr", image="https://example.com/1.jpg", image_base64=image)
    assert nothing[:2] == both[:2] == (400, "invalid_request")
    field = "image_base64"
    assert await refusal(client, "ocr", image_base64="data:image/png;base64,!!") == (400, "invalid_request", field)
    assert await refusal(client, "ocr", image_base64=data_uri(b"GIF89a" * 9)) == (400, "invalid_request", field)
    cut = data_uri(scene()[:3000])
    assert await refusal(client, "ocr", image_base64=cut) == (400, "invalid_request", field)
    too_large = data_uri(scene() + bytes(LARGEST_PICTURE))
    assert (await refusal(client, "ocr", image_base64=too_large))[:2] == (413, "payload_too_large")
    wrong = await refusal(client, "detect", image_base64=image, parameters={"classes": ["unicorn"]})
    assert wrong == (400, "invalid_request", "parameters")
    assert (await post(seeing.client(None), "ocr", image_base64=image)).status_code == 401


@pytest.mark.acceptance("V7", "X6")
async def test_nobody_waits_where_nobody_can_look(seeing: Served, pool: PoolOfOne, api: JobApi) -> None:
    client, image = seeing.client(), data_uri(scene())
    # The pool takes jobs of the first project's namespace only.
    other = await post(seeing.client(OTHER_KEY), "ocr", image_base64=image)
    assert (other.status_code, other.json()["error"]["code"]) == (503, "service_unavailable")
    assert int(other.headers["retry-after"]) >= 1
    async with WorkerClient(pool.worker, pool.operator_tls, host=pool.address) as operator:
        pattern = "test://pattern?width=64&height=48&fps=5"
        try:
            await operator.assign(*(file_job(pattern, f"stream-{number}") for number in range(2)))
            for number in range(2):
                await operator.until(f"stream-{number}", {JobState.RUNNING})
            busy = await post(client, "ocr", image_base64=image)
            assert (busy.status_code, busy.json()["error"]["code"]) == (429, "rate_limited")
            assert int(busy.headers["retry-after"]) >= 1
        finally:
            await operator.assign()


@pytest.mark.parametrize(
    "told",
    [
        {"spec": {"isolation": "pod"}},
        {"spec": {"jobLabels": {"site": "north"}}},
        {"conditions": [{"type": "Ready", "status": "False"}]},
        {"podIP": ""},
    ],
    ids=["a pod for each job", "jobs of one kind", "not ready", "no address"],
)
async def test_who_is_not_asked(seeing: Served, api: JobApi, pool: PoolOfOne, told: dict[str, Any]) -> None:
    pool.tell(api, **told)
    client = seeing.client()
    await until(lambda: is_refused(client), "the gateway knows of the pool")


async def is_refused(client: httpx.AsyncClient) -> bool:
    return (await post(client, "ocr", image_base64=data_uri(scene()))).status_code == 503


async def test_a_worker_that_is_gone_and_a_gateway_without_a_certificate(
    api: JobApi, pool: PoolOfOne, tmp_path: Path
) -> None:
    pool.tell(api, podIP="127.0.0.1")
    for tls in (pool.gateway_tls, None):
        folder = tmp_path / f"{tls is None}"
        folder.mkdir()
        async with served_over(api, folder, worker_tls=tls) as one:
            answer = await post(one.client(), "detect", image_base64=data_uri(scene()))
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")


@pytest.mark.acceptance("V10")
async def test_they_are_counted_apart_from_videos(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, v_requests_per_minute=1) as one:
        client, image = one.client(), data_uri(scene())
        assert (await post(client, "ocr", image_base64=image)).status_code == 503
        assert (await post(client, "detect", image_base64=image)).status_code == 429
        assert (await client.get("/v1/video/tasks")).status_code == 200


async def test_so_many_at_a_time(api: JobApi, pool: PoolOfOne, tmp_path: Path) -> None:
    """More are refused before any of them is read."""
    pool.tell(api)
    async with served_over(api, tmp_path, worker_tls=pool.gateway_tls, max_pictures=1) as one:
        client, image = one.client(), data_uri(scene())
        answers = await asyncio.gather(*(post(client, "ocr", image_base64=image) for _ in range(4)))
        assert sorted({answer.status_code for answer in answers}) == [200, 429]
        assert (await post(client, "ocr", image_base64=image)).status_code == 200
