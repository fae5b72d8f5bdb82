"""F from end to end: a key pair of the operator's authority, a pod's address, a real worker, a camera, a router."""

import base64
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.cluster.gateway.conftest import POLICY, RECEIVERS, Plant, write_files
from tests.cluster.operator.conftest import Shared
from tests.cluster.operator.harness import eventually
from tests.support.cameras import CameraSimulator
from tests.support.f_client import made
from tests.support.gateway import Served, served, settings
from tests.support.receiver import Post, receiving
from tests.support.scenes import astronaut
from videofleet_kube import ApiSession, from_kubeconfig
from videofleet_kube.resources import SECRETS
from videofleet_operator.services import authority, reader_key

JPEG = b"\xff\xd8"
READER = "reader"
LABELS = {"district": "SVAO", "site": "north"}


async def reader_files(api: ApiSession, shared: Shared, folder: Path) -> Path:
    """The files that a gateway's pod would mount, as the operator makes them when it starts."""
    namespace, now = shared.namespace, datetime.now(UTC)
    keys = await authority.load_or_create(api, namespace, "videofleet-worker-authority", now)
    await reader_key.make_good(api, namespace, READER, keys, now)
    secret = await api.get(SECRETS, namespace, READER)
    assert secret is not None
    write_files(folder, {name: base64.b64decode(text) for name, text in secret["data"].items()})
    return folder


def check_shots(posts: list[Post]) -> None:
    """Each is a picture of one track, with what the job's client has said goes along."""
    for post in posts:
        form, meta = post.form, json.loads(post.form["meta"])
        assert form["photo"][:2] == form["frame"][:2] == JPEG
        assert (form["camera"], form["cam_id"]) == (b"7", b"cam")
        assert post.headers["Authorization"] == "Token abc"
        assert meta["job"]["labels"] == LABELS
        assert meta["shot"]["track_id"] == meta["track"]["track_id"]
    keys = [post.headers["Idempotency-Key"] for post in posts]
    assert len(set(keys)) == len(keys)


async def look_at_a_picture(gateway: Served) -> None:
    """The other thing that workers do for a gateway, in a pod as the operator has made it."""
    buffer = io.BytesIO()
    astronaut().save(buffer, "JPEG")
    image = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    answer = await gateway.client().post("/v1/vision/detect", json={"image_base64": image})
    assert answer.status_code == 200, answer.text
    assert "pedestrian" in {one["class"] for one in answer.json()["objects"]}


@pytest.mark.acceptance("V7", "F2", "F13", "F14", "F23", "F29", "F31", "F82", "F86", "F93")
async def test_a_camera_is_watched_through_the_gateway_and_its_objects_come_to_a_router(
    plant: Plant, shared: Shared, simulator: CameraSimulator, kubeconfig: str, tmp_path: Path
) -> None:
    tls = await reader_files(plant.api, shared, tmp_path / "tls")
    places = {"archive": str(plant.archive), "source_policy": POLICY, "output_policy": RECEIVERS}
    config = settings(tmp_path, worker_tls=tls, **places)
    async with served(config, from_kubeconfig(kubeconfig), plant.namespace) as gateway, receiving() as router:
        await look_at_a_picture(gateway)
        client = gateway.client(port="f_port")
        said = {"router_headers": ["Authorization = Token abc"], "router_body": ["camera = 7"]}
        url, posts_to = simulator.rtsp("/cam1"), router.url("/v0/frame")
        await made(client, "cam", stream_url=url, router_url=posts_to, labels=LABELS, stream_settings=said)

        async def running() -> dict[str, str] | None:
            document: dict[str, str] = (await client.get("/job/cam")).json()
            return document if document["status"] == "INPROGRESS" else None

        document = await eventually(running, "the camera is analysed", 120)
        async with httpx.AsyncClient() as stranger:
            shot = await stranger.get(document["shots_url"])
        assert (shot.status_code, shot.content[:2]) == (200, JPEG)
        async with connect(document["restream_url"]) as socket:
            picture = await socket.recv()
            assert isinstance(picture, bytes)
            assert picture[:2] == JPEG
        await eventually(lambda: len(router.taken) > 1, "best shots have come to the router", 120)
        check_shots(router.taken)

        async def counted() -> bool:
            return bool((await client.get("/job/cam")).json()["statistic"]["objects_posted"] > 0)

        await eventually(counted, "the job says so", 120)
        assert (await client.delete("/job/cam")).status_code == 200
