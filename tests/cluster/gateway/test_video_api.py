"""The hosted video API from end to end: curl, a real API server, a real operator, a real worker, real video."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.cameras import CameraSimulator
from tests.support.gateway import KEY, Served


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(180):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


def chunks_of(stream: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.acceptance("V1", "V2", "V11", "V20", "V21", "V40", "V49", "V50", "V63", "V64", "V65", "V89", "V92", "V93")
async def test_the_three_commands_of_the_quick_start(gateway: Served, simulator: CameraSimulator) -> None:
    authorization = ("-H", f"Authorization: Bearer {KEY}")
    body = f"""{{
  "input": [{{ "type": "video_url", "url": "{simulator.http("/vtest.mp4")}",
               "sampling": {{ "mode": "fps", "value": 5 }}, "max_frames": 20 }}],
  "steps": [
    {{ "model": "detect", "parameters": {{ "classes": ["pedestrian"] }} }},
    {{ "model": "feature" }}
  ]
}}"""
    created = json.loads(
        await curl("-X", "POST", f"{gateway.url()}/v1/video/process", *authorization,
                   "-H", "Content-Type: application/json", "-d", body)
    )  # fmt: skip
    task = created["id"]
    assert created == {"id": task, "status": "pending", "stream_url": f"/v1/video/tasks/{task}/stream"}
    chunks = chunks_of(await curl("-N", f"{gateway.url()}/v1/video/tasks/{task}/stream", *authorization))
    assert [chunk["finish_reason"] for chunk in chunks] == [None] * 20 + ["max_frames"]
    assert chunks[-1]["usage"]["processed_frames"] == 20
    targets = [target for chunk in chunks[:-1] for target in chunk["delta"]["results"][0]["targets"]]
    assert targets
    assert {target["class"] for target in targets} == {"pedestrian"}
    assert all(target["track_id"] > 0 and target["feature"] for target in targets)

    results = json.loads(await curl(f"{gateway.url()}/v1/video/tasks/{task}/results", *authorization))
    assert (results["id"], results["object"]) == (task, "mm.pipeline.result")
    assert results["usage"]["processed_frames"] == 20
    assert {track["track_id"] for track in results["tracks"]} == {target["track_id"] for target in targets}
    assert all(track["feature_digest"].startswith("dim=128;norm=") for track in results["tracks"])
