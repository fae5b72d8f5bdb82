"""Faces followed by what they look like on a real worker, with the real weights."""

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageOps

from tests.support.scenes import astronaut, canvas, clip
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_api.results import Target

SIDE = 512
BEFORE = 4
"""Frames before the two change places."""


def portraits() -> tuple[Image.Image, Image.Image]:
    """A head, and its negative in grey: a face as well, for the network as far from the first as two people are."""
    head = astronaut().crop((140, 20, 310, 240))
    return head, ImageOps.invert(ImageOps.grayscale(head)).convert("RGB")


def changing_places() -> list[Image.Image]:
    """Two stand beside each other; between two frames, two seconds apart, they change places."""
    one, other = portraits()
    pictures = []
    for frames, places in (BEFORE, ((80, 100), (250, 100))), (1, ((250, 130), (80, 130))):
        picture = canvas(SIDE, SIDE)
        for portrait, place in zip((one, other), places, strict=True):
            picture.paste(portrait, place)
        pictures += [picture] * 2 * frames
    return pictures


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with serving() as server:
        server.pages["/places.mp4"] = Page(clip(*changing_places(), fps=1))
        yield server


async def ids_of(client: WorkerClient, web: WebServer, uid: str, tracker: str, **parameters: Any) -> list[list[int]]:
    """The tracks of the faces in each frame, from left to right; 0 for none."""
    track = {"model": "track", "parameters": {"tracker": tracker, **parameters}}
    steps = [{"model": "face", "parameters": {"confidence": 0.5}}, {"model": "feature"}, track]
    spec = {"analytics": [{"name": "main", "steps": steps}], "sampling": {"mode": "interval", "value": 2}}
    await client.assign(file_job(web.url("/places.mp4"), uid, **spec))
    last = (await client.until(uid, TERMINAL))[-1]
    assert last.state is JobState.ENDED, last.message
    told = []
    for chunk in chunks_of(await client.log(uid)):
        if chunk["finish_reason"] is None:
            targets = [Target.model_validate(one) for one in chunk["delta"]["results"][0]["targets"]]
            targets.sort(key=lambda one: one.roi.left)
            told.append([one.track_id or 0 for one in targets])
    return told


@pytest.mark.parametrize("tracker", ["bytetrack", "ocsort"])
async def test_faces_that_change_places_keep_their_ids_by_their_looks(
    client: WorkerClient, web: WebServer, uid: str, tracker: str
) -> None:
    by_place = await ids_of(client, web, f"{uid}-place", tracker)
    assert by_place == [by_place[0]] * (BEFORE + 1)
    assert sorted(by_place[0]) == [1, 2]
    by_looks = await ids_of(client, web, f"{uid}-looks", tracker, appearance={"step": "feature", "minOverlap": 0.05})
    assert by_looks == [by_place[0]] * BEFORE + [by_place[0][::-1]]
