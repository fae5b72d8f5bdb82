"""F's views from end to end: a key pair of the operator's authority, a pod's address, a real worker, a camera."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.cluster.gateway.conftest import POLICY, Plant, write_files
from tests.cluster.operator.conftest import Shared
from tests.cluster.operator.harness import eventually
from tests.support.cameras import CameraSimulator
from tests.support.f_client import made
from tests.support.gateway import served, settings
from videofleet_kube import ApiSession, from_kubeconfig
from videofleet_kube.resources import SECRETS
from videofleet_operator.services import authority, reader_key

JPEG = b"\xff\xd8"
READER = "reader"


async def reader_files(api: ApiSession, shared: Shared, folder: Path) -> Path:
    """The files that a gateway's pod would mount, as the operator makes them when it starts."""
    namespace, now = shared.namespace, datetime.now(UTC)
    keys = await authority.load_or_create(api, namespace, "videofleet-worker-authority", now)
    await reader_key.make_good(api, namespace, READER, keys, now)
    secret = await api.get(SECRETS, namespace, READER)
    assert secret is not None
    write_files(folder, {name: base64.b64decode(text) for name, text in secret["data"].items()})
    return folder


@pytest.mark.acceptance("F2", "F29", "F31", "F93")
async def test_a_camera_is_watched_through_the_gateway(
    plant: Plant, shared: Shared, simulator: CameraSimulator, kubeconfig: str, tmp_path: Path
) -> None:
    tls = await reader_files(plant.api, shared, tmp_path / "tls")
    config = settings(tmp_path, archive=str(plant.archive), source_policy=POLICY, worker_tls=tls)
    async with served(config, from_kubeconfig(kubeconfig), plant.namespace) as gateway:
        client = gateway.client(port="f_port")
        await made(client, "cam", stream_url=simulator.rtsp("/cam1"))

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
        assert (await client.delete("/job/cam")).status_code == 200
