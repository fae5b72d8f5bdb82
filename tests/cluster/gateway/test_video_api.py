"""The hosted video API from end to end: curl, a real API server, a real operator, a real worker, real video."""

import asyncio
import base64
import json
import re
from typing import Any

import pytest

from tests.cluster.gateway.conftest import Plant
from tests.cluster.operator.harness import JOBS, POOLS
from tests.support.archives import becomes, frames_of, stored_log
from tests.support.asyncapi import check_chunks
from tests.support.cameras import SMALL_CLIP, CameraSimulator
from tests.support.gateway import KEY, Served
from tests.support.gateway_process import Subscriber, have
from tests.unit.gateway.v_world import PROCESS, TASKS, documents, until, until_status
from videofleet_archive.store import FolderArchive

SUBSCRIBERS = 50
FRAMES = 120


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


@pytest.mark.acceptance(
    *("V1", "V2", "V6", "V11", "V20", "V21", "V28", "V35", "V40", "V41", "V42", "V49", "V50", "V62", "V63", "V64"),
    *("V65", "V67", "V77", "V78", "V89", "V92", "V93", "V94"),
)
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
    check_chunks(chunks)
    assert [chunk["stream_info"]["frame_index"] for chunk in chunks[:-1]] == list(range(0, 40, 2)), "of 10 a second, 5"
    assert chunks[-1]["usage"]["processed_frames"] == 20
    targets = [target for chunk in chunks[:-1] for target in chunk["delta"]["results"][0]["targets"]]
    assert targets
    assert {target["class"] for target in targets} == {"pedestrian"}
    assert all(target["track_id"] > 0 and target["feature"] for target in targets)

    results = json.loads(await curl(f"{gateway.url()}/v1/video/tasks/{task}/results", *authorization))
    assert (results["id"], results["object"]) == (task, "mm.pipeline.result")
    assert results["usage"]["processed_frames"] == 20
    assert {track["track_id"] for track in results["tracks"]} == {target["track_id"] for target in targets}
    assert all(re.fullmatch(r"dim=128;norm=\d+\.\d{4}", track["feature_digest"]) for track in results["tracks"])


@pytest.mark.acceptance(
    *("V25", "V26", "V30", "V39", "V52", "V53", "V54", "V55", "V56", "V57", "V58", "V59", "V60", "V96", "V97"),
    *("A14", "A18"),
)
async def test_a_video_in_a_request_is_analysed(gateway: Served, plant: Plant) -> None:
    client = gateway.client()
    video = base64.b64encode(await asyncio.to_thread(SMALL_CLIP.read_bytes)).decode()
    body = {
        "input": [
            {"type": "video_base64", "data": video, "sampling": {"mode": "interval", "value": 5}, "max_frames": 4}
        ],
        "steps": [{"model": "detect"}],
        "model": "qwen-vl-max",
    }
    task = (await client.post(PROCESS, json=body)).json()["id"]
    async with asyncio.timeout(120):
        chunks = documents((await client.get(f"{TASKS}/{task}/stream", timeout=120)).content)
    assert [chunk["finish_reason"] for chunk in chunks[:-1]] == [None] * 4 + ["max_frames"]
    infos = [chunk["stream_info"] for chunk in chunks[:-1]]
    assert [info["frame_index"] for info in infos] == [0, 5, 10, 15, 15]
    assert all(info["decoded_frames"] >= info["frame_index"] + 1 for info in infos)
    assert infos[3]["dropped_frames"] >= 12
    assert all(info["total_frames"] > 15 for info in infos)
    assert len({chunk["id"] for chunk in chunks[:-1]}) == 1
    assert {(chunk["object"], chunk["id"][:8]) for chunk in chunks[:-1]} == {("mm.pipeline.chunk", "mm-pipe-")}
    assert [info["elapsed_ms"] for info in infos] == sorted(info["elapsed_ms"] for info in infos)
    assert [chunk.get("model") for chunk in chunks[:-1]] == ["qwen-vl-max", None, None, None, None]
    assert chunks[-2]["delta"]["results"] == []
    assert chunks[-2]["usage"]["processed_frames"] == 4
    assert all(info["fps"] == 10.0 for info in infos)
    assert [[result["index"] for result in chunk["delta"]["results"]] for chunk in chunks[:4]] == [[0]] * 4
    results = (await client.get(f"{TASKS}/{task}/results")).json()
    assert (results["id"], results["model"]) == (task, "qwen-vl-max")

    async def removed() -> bool:
        return not await asyncio.to_thread(lambda: list(plant.archive.glob(".inputs/*/*")))

    await until(removed, "the video is removed")


@pytest.mark.acceptance("V66", "V23", "V84", "V85", "V86", "V87", "V88", "V55", "X1")
async def test_a_live_task_is_cancelled_within_a_chunk(gateway: Served, plant: Plant) -> None:
    client = gateway.client()
    body = {"input": [{"type": "video_url", "url": "test://pattern?width=320&height=240&fps=10"}],
            "steps": [{"model": "detect"}]}  # fmt: skip
    task = (await client.post(PROCESS, json=body)).json()["id"]
    told, began = bytearray(), asyncio.Event()

    async def read() -> None:
        async with client.stream("GET", f"{TASKS}/{task}/stream", timeout=120) as stream:
            async for data in stream.aiter_bytes():
                told.extend(data)
                if b"data: " in told:
                    began.set()

    reading = asyncio.create_task(read())
    await until_status(client, task, "running", 120)
    # What the worker has not sealed when it is told to stop is no part of the stream.
    async with asyncio.timeout(120):
        await began.wait()
    listed = (await plant.api.list(JOBS, plant.namespace))["items"]
    assert [job["metadata"]["annotations"]["videofleet.io/v-id"] for job in listed] == [task]
    answer = await client.post(f"{TASKS}/{task}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    async with asyncio.timeout(120):
        await reading
    chunks = documents(bytes(told))
    assert chunks[0]["stream_info"]["total_frames"] is None
    assert chunks[0]["delta"]["results"] == [{"index": 0, "targets": []}]
    assert (chunks[-2]["finish_reason"], chunks[-1]) == ("cancelled", "[DONE]")
    assert (await client.get(f"{TASKS}/{task}")).json()["status"] == "cancelled"
    assert (await client.get(f"{TASKS}/{task}/stream")).content.endswith(b"\n\n")


@pytest.mark.acceptance("V72")
async def test_a_worker_is_killed_in_the_middle_of_a_stream_and_another_goes_on(
    gateway: Served, plant: Plant, simulator: CameraSimulator
) -> None:
    await plant.edit(POOLS, plant.pool_name, minWorkers=2, maxWorkers=2)
    await plant.until_workers(2, timeout=300)
    every = {"sampling": {"mode": "interval", "value": 1}, "max_frames": FRAMES}
    video = {"type": "video_url", "url": simulator.http("/vtest.mp4"), **every}
    body = {"input": [video], "steps": [{"model": "detect"}]}
    task = (await gateway.client().post(PROCESS, json=body)).json()["id"]
    clients = [Subscriber(f"{TASKS}/{task}/stream", [gateway.url()]) for _ in range(SUBSCRIBERS)]
    listening = [asyncio.create_task(client.listen()) for client in clients]
    await becomes(lambda: have(clients, 5000), "all have heard something", 120)
    (job,) = (await plant.api.list(JOBS, plant.namespace))["items"]
    heard = max(len(client.got) for client in clients)
    await plant.lose(job["status"]["worker"]["name"])
    whole = await listening[0]
    assert [await each == whole for each in listening] == [True] * SUBSCRIBERS
    assert whole == stored_log(FolderArchive(plant.archive), f"{plant.namespace}/{job['metadata']['uid']}/1/main")
    assert [line.split()[2] for line in whole.splitlines() if line.startswith(b": epoch ")] == [b"1", b"2"]
    assert whole.index(b": epoch 2 ") >= heard, "all that was heard was of the one that was killed"
    assert frames_of(whole) == list(range(FRAMES))
    assert {client.connects for client in clients} == {1}
    assert (await plant.until(job["metadata"]["name"], "COMPLETED"))["epoch"] == 2


@pytest.mark.acceptance("V79", "V80", "V82", "V99")
async def test_a_video_that_is_not_there_is_tried_three_times(
    gateway: Served, plant: Plant, simulator: CameraSimulator
) -> None:
    client = gateway.client()
    body = {"input": [{"type": "video_url", "url": simulator.http("/nothing.mp4")}], "steps": [{"model": "detect"}]}
    task = (await client.post(PROCESS, json=body)).json()["id"]
    shown = await until_status(client, task, "failed", 180)
    assert shown["error"]["code"] == "NOT_FOUND"
    (job,) = (await plant.api.list(JOBS, plant.namespace))["items"]
    assert job["status"]["attempt"] == 3
    async with asyncio.timeout(120):
        chunks = documents((await client.get(f"{TASKS}/{task}/stream")).content)
    assert [chunk if chunk == "[DONE]" else chunk["finish_reason"] for chunk in chunks] == ["error", "[DONE]"]
    assert (await client.get(f"{TASKS}/{task}/results")).status_code == 404
