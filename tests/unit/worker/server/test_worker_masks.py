"""Privacy masks on a real worker, with real people: nothing is found under one, and no picture shows what is there."""

import asyncio
import io
from typing import Any

import aiohttp
import numpy as np
import pytest
from PIL import Image

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.protocol import TERMINAL, Entry, JobState

WIDTH, HEIGHT = 768, 576
Json = dict[str, Any]


def mask(left: float, right: float, mode: str = "black") -> Json:
    """A mask from top to bottom."""
    corners = [(left, 0), (right, 0), (right, 1), (left, 1)]
    return {"polygon": [{"x": x, "y": y} for x, y in corners], "mode": mode}


def boxes_of(data: bytes) -> list[list[Json]]:
    """The boxes of each frame."""
    frames = [chunk for chunk in chunks_of(data) if chunk["finish_reason"] is None]
    return [[one["roi"] for result in chunk["delta"]["results"] for one in result["targets"]] for chunk in frames]


async def snapshot_of(client: WorkerClient, uid: str) -> np.ndarray[Any, Any] | None:
    """Brightness [height, width]; None while there is none."""
    answer = await client.get(f"/v1/jobs/{uid}/snapshot.jpg")
    if answer.status == 404:
        return None
    assert answer.status == 200
    return np.asarray(Image.open(io.BytesIO(answer.body)).convert("L")).astype(int)


@pytest.mark.parametrize("mode", ["black", "blur"])
async def test_nobody_under_a_mask_is_found_or_seen(
    client: WorkerClient, simulator: CameraSimulator, uid: str, mode: str
) -> None:
    url = simulator.http("/vtest.mp4")
    open_uid = f"{uid}-open"
    await client.assign(
        file_job(url, uid, maxFrames=12, privacyMasks=[mask(0.5, 1.0, mode)]), file_job(url, open_uid, maxFrames=12)
    )
    await client.until(uid, TERMINAL)
    await client.until(open_uid, TERMINAL)
    middle = WIDTH // 2
    unmasked = [box for frame in boxes_of(await client.log(open_uid)) for box in frame]
    assert sum(box["left"] > middle for box in unmasked) > 12, "there are people"
    masked = [box for frame in boxes_of(await client.log(uid)) for box in frame]
    assert [box for box in masked if box["left"] >= middle] == []
    picture, bare = await snapshot_of(client, uid), await snapshot_of(client, open_uid)
    assert picture is not None
    assert bare is not None
    # Away from labels of people beside the mask.
    covered = picture[:, middle + 120 :]
    if mode == "black":
        assert covered.max() <= 8
    else:
        assert len(np.unique(covered // 8)) < len(np.unique(bare[:, middle + 120 :] // 8))
        edges = np.abs(np.diff(covered, axis=1)) > 24
        assert edges.any(axis=0).sum() <= 30, "only where one block ends"


def _settled(entry: Entry, settings: str, **spec: Any) -> Entry:
    assert entry.spec is not None
    document = entry.spec.wire() | spec
    return entry.model_copy(update={"settings": settings, "spec": type(entry.spec).model_validate(document)})


async def test_a_mask_comes_and_goes_while_a_file_is_analysed(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    base = file_job(simulator.http("/vtest.mp4"), uid, maxFrames=150)
    await client.assign(_settled(base, "open"))
    await client.until(uid, {JobState.RUNNING})
    await client.assign(_settled(base, "hidden", privacyMasks=[mask(0.0, 1.0)]))
    await _applied(client, uid, "hidden")
    picture = await snapshot_of(client, uid)
    assert picture is None or picture.max() <= 8, "the best picture so far was of before"
    await client.assign(_settled(base, "open again"))
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.settings) == (JobState.ENDED, "open again")
    data = await client.log(uid)
    assert data.count(b": epoch ") == 1
    found = [bool(boxes) for boxes in boxes_of(data)]
    assert len(found) == 150
    hidden = [index for index, some in enumerate(found) if not some]
    assert hidden == list(range(hidden[0], hidden[-1] + 1)), "one stretch without anybody"
    assert hidden[0] > 0
    assert hidden[-1] < 149
    assert (await snapshot_of(client, uid)) is not None


async def test_a_camera_that_is_masked_shows_nothing_from_the_moment_that_it_is_said_to_be(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    base = file_job(simulator.rtsp("/cam1"), uid, singlePass=False)
    await client.assign(_settled(base, "open"))
    await client.until(uid, {JobState.RUNNING})
    stored = shared_worker.archive / "default" / uid / "1" / "main" / "snapshot.jpg"
    await becomes(stored.exists, "a snapshot lies in the archive")
    url = client.url(f"/v1/jobs/{uid}/live")
    async with asyncio.timeout(60), client.session.ws_connect(url, autoping=False, **client.tls) as watching:
        await watching.receive_bytes()
        await client.assign(_settled(base, "hidden", privacyMasks=[mask(0.0, 1.0)]))
        await _applied(client, uid, "hidden")
        kept = await snapshot_of(client, uid)
        assert kept is None or kept.max() <= 8
        assert not stored.exists() or np.asarray(Image.open(stored).convert("L")).max() <= 8
        # What is on its way to this viewer may be older, and has come when it is answered; then comes nothing that is.
        await watching.ping()
        while (message := await watching.receive()).type is not aiohttp.WSMsgType.PONG:
            assert message.type is aiohttp.WSMsgType.BINARY
        shown = [Image.open(io.BytesIO(await watching.receive_bytes())).convert("L") for _ in range(12)]
    dark = [bool(np.asarray(one).max() <= 8) for one in shown]
    assert all(dark[4:])


async def _applied(client: WorkerClient, uid: str, settings: str) -> None:
    async with asyncio.timeout(60):
        async for line in client.events():
            reports = getattr(line, "reports", None) or [getattr(line, "report", None)]
            if any(one is not None and one.uid == uid and one.settings == settings for one in reports):
                return
