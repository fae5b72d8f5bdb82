"""Single pictures for somebody who waits: the real models of a real worker, in slots that no stream has."""

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.archives import becomes
from tests.support.scenes import ASTRONAUT_FACE, astronaut, canvas, overlap, write
from tests.support.worker_client import Answer, WorkerClient, WorkerProcess, file_job
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from tests.unit.worker.server.conftest import Keys
from videofleet_api.protocol import JobState
from videofleet_api.vision import LARGEST_PICTURE, VisionReport

SIDE, LEFT, TOP = 640, 600, 80
FACE = tuple(round(side * SIDE / 512) + at for side, at in zip(ASTRONAUT_FACE, (LEFT, TOP, LEFT, TOP), strict=True))
LINES = ("Gate 42 closes 17:40", "ENTRANCE")


def scene(kind: str = "PNG") -> bytes:
    """Somebody and two lines of writing."""
    picture = canvas()
    picture.paste(astronaut().resize((SIDE, SIDE)), (LEFT, TOP))
    for place, line in enumerate(LINES):
        write(picture, line, 80, 200 + 220 * place)
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with serving() as server:
        server.pages["/scene.jpg"] = Page(scene("JPEG"))
        server.pages["/locked.jpg"] = Page(scene("JPEG"), login="reader:0pen")
        server.pages["/text.jpg"] = Page(b"no picture" * 100)
        yield server


async def ask(client: WorkerClient, picture: bytes | None, model: str = "detect", **more: Any) -> Answer:
    """What the worker answers about a picture that comes along, or about one at `source`."""
    parameters = {"parameters": more.pop("parameters")} if "parameters" in more else {}
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("request", json.dumps({"step": {"model": model} | parameters, "timeout": 20} | more))
    if picture is not None:
        form.add_field("picture", picture, filename="picture")
    async with client.session.post(client.url("/v1/vision"), data=form, **client.tls) as response:
        return Answer(response.status, await response.json())


async def seen(client: WorkerClient, picture: bytes | None, model: str = "detect", **more: Any) -> VisionReport:
    answer = await ask(client, picture, model, **more)
    assert answer.status == 200, answer.body
    return VisionReport.model_validate(answer.body)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_objects_faces_and_writing_in_a_picture_that_comes_along(client: WorkerClient, kind: str) -> None:
    picture = scene(kind)
    found = await seen(client, picture, parameters={"classes": ["person"]})
    assert (found.code, found.model, found.width, found.height) == (None, "nanodet-m-416", 1280, 720)
    (person,) = found.objects
    assert person.label == "person"
    assert person.box[0] >= LEFT - 20
    (face,) = (await seen(client, picture, "face")).objects
    assert overlap(face.box, FACE) > 0.6
    read = await seen(client, picture, "ocr")
    assert tuple(line.text for line in read.objects if line.text in LINES) == LINES, "from the top down"
    assert all(line.confidence > 0.8 for line in read.objects if line.text in LINES)


async def test_a_picture_at_an_address(client: WorkerClient, web: WebServer, shared_worker: WorkerProcess) -> None:
    found = await seen(client, None, source={"url": web.url("/scene.jpg")})
    assert "person" in {one.label for one in found.objects}
    login = {"username": "reader", "password": "0pen"}
    assert (await seen(client, None, source={"url": web.url("/locked.jpg"), **login})).objects
    for path, code in (("/locked.jpg", "AUTH"), ("/none.jpg", "NOT_FOUND"), ("/text.jpg", "UNSUPPORTED")):
        refused = await seen(client, None, source={"url": web.url(path), "password": "wr0ng-0ne"})
        assert (path, refused.code, refused.objects) == (path, code, [])
    forbidden = await seen(client, None, source={"url": "http://169.254.169.254/latest"})
    assert forbidden.code == "FORBIDDEN"
    assert "wr0ng" not in json.dumps(shared_worker.records())


async def test_what_is_no_picture_or_no_question(client: WorkerClient) -> None:
    assert (await seen(client, b"no picture" * 100)).code == "UNSUPPORTED"
    assert (await seen(client, b"")).code == "EMPTY"
    assert (await seen(client, scene()[:5000])).code == "UNSUPPORTED"
    assert (await seen(client, scene(), parameters={"classes": ["unicorn"]})).code == "BAD_PARAMETER"
    assert (await seen(client, scene(), "feature")).code == "BAD_PARAMETER"
    assert (await seen(client, scene(), "no-such-model")).code == "UNKNOWN_MODEL"
    assert (await ask(client, None)).status == 400
    assert (await ask(client, scene(), timeout=1000)).status == 400
    assert (await ask(client, bytes(LARGEST_PICTURE + 1))).status == 413
    assert (await client.request("POST", "/v1/vision", {"step": {"model": "detect"}})).status == 415


async def test_streams_and_pictures_share_the_slots(
    client: WorkerClient, keys: Keys, shared_worker: WorkerProcess
) -> None:
    """The worker has four. A reader may ask: it is the gateway that does."""
    pattern = "test://pattern?width=64&height=48&fps=5"
    await client.assign(*(file_job(pattern, f"stream-{number}") for number in range(3)))
    for number in range(3):
        await client.until(f"stream-{number}", {JobState.RUNNING})
    async with WorkerClient(shared_worker, keys.reader) as reader:
        with serving() as slow:
            slow.pages["/scene.jpg"] = Page(scene("JPEG"), hang_after=1000)
            first = asyncio.create_task(ask(reader, None, source={"url": slow.url("/scene.jpg")}, timeout=30))
            await becomes(lambda: bool(slow.asked), "the fourth slot is taken")
            assert [(await ask(reader, scene())).status for _ in range(2)] == [429, 429]
        assert (await first).status == 200
        await client.assign(*(file_job(pattern, f"stream-{number}") for number in range(4)))
        await client.until("stream-3", {JobState.RUNNING})
        assert (await ask(reader, scene())).status == 429
        await client.assign()
        async with asyncio.timeout(60):  # there is room once the streams have sealed their results
            while (await ask(reader, scene())).status != 200:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
    async with WorkerClient(shared_worker, keys.stranger) as stranger:
        assert (await ask(stranger, scene())).status == 403
