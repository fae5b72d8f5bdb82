"""Streams looked at on the page: a real worker with a camera, and a browser."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from playwright.async_api import Page, expect

from tests.support.authority import POD, POOL_NAMESPACE, Keys
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.gateway.web.conftest import Stage
from tests.unit.gateway.web.test_page import RUNNING, spec
from videofleet_api.protocol import JobState

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PROGRAM = """
import sys
from videofleet_gateway import __main__, workers
workers.WORKER_API_PORT = {port}
sys.exit(__main__.main())
"""


@pytest.fixture(scope="module")
def program(worker: WorkerProcess) -> Sequence[str]:
    """The gateway, for a worker on a free port."""
    return ("-c", _PROGRAM.format(port=worker.api_port))


@pytest.fixture(scope="module")
def more_settings(keys: Keys) -> dict[str, str]:
    return {"worker_tls": str(keys.reader)}


async def test_a_camera_is_seen_in_the_grid_and_live_also_after_its_gateway_was_away(
    stage: Stage, page: Page, worker: WorkerProcess, keys: Keys
) -> None:
    job = stage.api.job("camera-1", spec={**spec("rtsp://camera.example/1"), "singlePass": False})
    uid = job["metadata"]["uid"]
    pod = stage.api.put("api/v1/pods", POOL_NAMESPACE, POD, status={"podIP": "127.0.0.1"})
    at = {"name": POD, "pool": f"{POOL_NAMESPACE}/pool", "id": pod["metadata"]["uid"], "instance": "x"}
    with CameraSimulator(["--cameras", "1"]) as camera:
        async with WorkerClient(worker, keys.operator) as operator:
            await operator.assign(file_job(camera.rtsp("/cam1"), uid, singlePass=False))
            await operator.until(uid, {JobState.RUNNING})
            stage.api.tell(job, **RUNNING, worker=at)
            await page.goto("/ui/streams")
            await _is_seen(page, "Picture of camera-1")
            await page.get_by_role("link", name="camera-1").click()
            await _is_seen(page, "Picture of camera-1")
            await page.get_by_role("button", name="Watch live").click()
            await _is_seen(page, "Live view of camera-1")
            await page.evaluate("document.title = 'The same page'")
            await stage.gateway.stop()
            await stage.gateway.start()
            await expect(page).to_have_title("Stream camera-1 - videofleet")
            await _is_seen(page, "Live view of camera-1")
            await page.get_by_role("button", name="Stop the live view").click()
            await expect(page.get_by_role("img", name="Live view of camera-1")).to_be_hidden()
            await operator.assign()


async def _is_seen(page: Page, name: str) -> None:
    """The picture has arrived, and is one."""
    picture = page.get_by_role("img", name=name)
    await expect(picture).to_be_visible()
    await expect(picture).not_to_have_js_property("naturalWidth", 0)
