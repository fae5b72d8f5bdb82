"""Looking at a source for a moment: what a real worker finds, and why it finds nothing."""

import asyncio
import json
import socket
from typing import Any

import pytest

from tests.support.cameras import CameraSimulator
from tests.support.worker_client import Answer, WorkerClient, WorkerProcess
from tests.unit.worker.server.conftest import Keys
from videofleet_api.probe import ProbeReport


async def look(client: WorkerClient, url: str, timeout: float = 20, **source: Any) -> ProbeReport:
    answer = await client.request("POST", "/v1/probe", {"source": {"url": url, **source}, "timeout": timeout})
    assert answer.status == 200, answer.body
    return ProbeReport.model_validate(answer.body)


async def test_a_camera(client: WorkerClient, simulator: CameraSimulator) -> None:
    found = await look(client, simulator.rtsp("/cam1"))
    assert (found.works, found.code, found.live, found.codec) == (True, None, True, "h264")
    assert (found.width, found.height, found.announced_fps, found.audio) == (768, 576, 10, None)
    assert found.keyframe_interval is not None
    # Of frames that come too fast for a busy machine some are left out: what is counted tells less, never more.
    assert found.keyframe_interval >= 0.9, "closed groups of 10 to 20 pictures"
    assert found.measured_fps is not None
    assert 0 < found.measured_fps <= 11
    assert found.bit_rate is not None
    assert found.bit_rate > 50_000
    assert found.duration is None
    assert found.first_frame_seconds is not None


async def test_a_file(client: WorkerClient, simulator: CameraSimulator) -> None:
    found = await look(client, simulator.http("/vtest.mp4"))
    assert (found.works, found.live, found.codec, found.duration) == (True, False, "h264", 79.5)
    assert found.measured_fps == pytest.approx(10, rel=0.02)


async def test_with_the_right_password_and_without(client: WorkerClient, simulator: CameraSimulator) -> None:
    url = simulator.rtsp("/secure")
    assert (await look(client, url, username="camera", password="s3cret")).works
    wrong = await look(client, url, username="camera", password="wr0ng-0ne")
    assert (wrong.works, wrong.code) == (False, "AUTH")
    assert "wr0ng" not in str(wrong)


async def test_why_not(client: WorkerClient, simulator: CameraSimulator) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"rtsp://127.0.0.1:{closed.getsockname()[1]}/cam1"
        cases = {
            nobody: "NETWORK",
            simulator.rtsp("/nothing-here"): "NOT_FOUND",
            simulator.http("/missing.mp4"): "NOT_FOUND",
            simulator.http("/zeros.mp4"): "UNSUPPORTED",
            "rtsp://169.254.169.254/latest": "FORBIDDEN",
            "rtsp://user:pa55w0rd@camera.example/1": "BAD_PARAMETER",
            "test://pattern?width=64&height=48&fail=codec": "CODEC",
        }
        for url, code in cases.items():
            found = await look(client, url)
            assert (url, found.works, found.code) == (url, False, code)
            assert found.message
            assert "pa55w0rd" not in found.message


async def test_a_camera_that_says_nothing_takes_no_longer_than_was_given(
    client: WorkerClient, simulator: CameraSimulator
) -> None:
    try:
        simulator.fault("/cam2", "silence")
        found = await look(client, simulator.rtsp("/cam2"), timeout=4)
        assert (found.works, found.code) == (False, "TIMEOUT")
    finally:
        simulator.fault("/cam2", "none")


async def test_two_at_once_and_nothing_is_told_of_their_passwords(
    client: WorkerClient, shared_worker: WorkerProcess
) -> None:
    source = {"url": "test://pattern?width=64&height=48&fps=10&fail=slow", "password": "h1dden"}

    async def ask() -> Answer:
        return await client.request("POST", "/v1/probe", {"source": source, "timeout": 6})

    answers = await asyncio.gather(ask(), ask(), ask())
    assert sorted(answer.status for answer in answers) == [200, 200, 429]
    assert (await ask()).status == 200, "there is room again"
    assert "h1dden" not in json.dumps([answer.body for answer in answers])
    assert "h1dden" not in json.dumps(shared_worker.records())


async def test_only_the_operator_may_ask_and_in_words(
    client: WorkerClient, shared_worker: WorkerProcess, keys: Keys
) -> None:
    async with WorkerClient(shared_worker, keys.reader) as reader:
        refused = await reader.request("POST", "/v1/probe", {"source": {"url": "test://pattern"}})
    assert refused.status == 403
    wrong = await client.request("POST", "/v1/probe", {"source": {"url": "test://pattern"}, "timeout": 1000})
    assert wrong.status == 400
    assert "timeout" in wrong.body["message"]
