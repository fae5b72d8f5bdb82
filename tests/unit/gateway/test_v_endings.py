"""How tasks of the hosted video API end: results, cancellation, failure."""

import asyncio
from typing import Any

import pytest

from tests.support.gateway import VIDEOJOBS, JobApi, Served
from tests.unit.gateway.v_world import (
    TASKS,
    WorkersLog,
    documents,
    job_of,
    submitted,
    until,
    until_status,
)

RUNNING = {"phase": "INPROGRESS", "run": 1, "epoch": 1, "firstFrameTime": "2026-01-01T00:00:00Z"}
FAILED = [
    {"type": "Failed", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
]


@pytest.mark.acceptance("V21", "V22", "V39", "V74", "V75", "V76", "V78", "V100")
async def test_results_are_there_once_the_task_has_succeeded(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client, model="qwen-vl-max")
    early = await client.get(f"{TASKS}/{task}/results")
    assert (early.status_code, early.json()["error"]["code"]) == (404, "not_ready")
    unknown = await client.get(f"{TASKS}/vt_00000000000000000000000000/results")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    job = job_of(api, task)
    api.tell(job, **RUNNING)
    async with WorkersLog(gateway, job) as log:
        await log.frames(0, 1, 2)
        await log.finish(2)
    await until_status(client, task, "succeeded")
    results = (await client.get(f"{TASKS}/{task}/results")).json()
    assert (results["id"], results["object"], results["model"]) == (task, "mm.pipeline.result", "qwen-vl-max")
    assert results["usage"] == {"processed_frames": 3, "processing_time_ms": 80}
    (track,) = results["tracks"]
    assert {name: track[name] for name in ("track_id", "class", "first_frame", "last_frame", "frames_seen")} == {
        "track_id": 1,
        "class": "person",
        "first_frame": 0,
        "last_frame": 2,
        "frames_seen": 3,
    }


@pytest.mark.acceptance("V90", "A17", "V84", "V85", "V86", "V87", "V88", "V91", "X9", "X13")
async def test_a_running_task_is_cancelled_and_keeps_what_it_has(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    api.tell(job, **RUNNING)
    await until_status(client, task, "running")
    async with WorkersLog(gateway, job) as log:
        part = await log.frames(0, 1)
        reading = asyncio.create_task(client.get(f"{TASKS}/{task}/stream"))
        answer = await client.post(f"{TASKS}/{task}/cancel")
        assert (answer.status_code, answer.json()) == (202, {"id": task, "status": "cancelling"})
        assert job_of(api, task)["spec"]["enabled"] is False
        again = await client.post(f"{TASKS}/{task}/cancel", json={})
        assert (again.status_code, again.json()["status"]) == (202, "cancelling")
        api.tell(job, **RUNNING | {"phase": "DISABLED", "reason": "Disabled"})
        await until_status(client, task, "cancelled")
        async with asyncio.timeout(120):
            stream = (await reading).content
    assert stream.startswith(part)
    last, done = documents(stream)[-2:]
    assert (last["finish_reason"], last["usage"]["processed_frames"], done) == ("cancelled", 2, "[DONE]")
    assert (last["id"], last["delta"]["results"]) == (documents(stream)[-2]["id"], [])
    assert (await client.get(f"{TASKS}/{task}/results")).json()["error"]["code"] == "not_ready"
    assert (await client.post(f"{TASKS}/{task}/cancel", content=b"")).json()["status"] == "cancelled"
    # Whoever enables the job again has another task in mind: this one is over.
    api.put("apis/videofleet.io/v1alpha1/videojobs", "team-a", job["metadata"]["name"], spec={"enabled": True})
    api.tell(job, phase="AWAITING")
    assert (await client.get(f"{TASKS}/{task}")).json()["status"] == "cancelled"


@pytest.mark.acceptance("A20", "V39", "V91")
async def test_a_task_is_cancelled_before_it_began(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client, model="qwen-vl-max")
    answer = await client.post(f"{TASKS}/{task}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert job_of(api, task)["spec"]["enabled"] is False
    shown = (await client.get(f"{TASKS}/{task}")).json()
    assert shown["status"] == "cancelled"
    assert shown["updated_at"] > shown["created_at"]
    async with asyncio.timeout(120):
        chunks = documents((await client.get(f"{TASKS}/{task}/stream")).content)
    assert [chunk if chunk == "[DONE]" else chunk["finish_reason"] for chunk in chunks] == ["cancelled", "[DONE]"]
    assert chunks[0]["model"] == "qwen-vl-max"
    assert chunks[0]["usage"] == {"processed_frames": 0, "processing_time_ms": 0}


@pytest.mark.acceptance("A20", "X9")
async def test_a_task_whose_status_cannot_be_read_is_left_to_the_worker_that_may_have_it(
    gateway: Served, api: JobApi
) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    # Of an operator that was upgraded before this gateway.
    api.tell(job, **RUNNING | {"phase": "REHEARSING"})
    async with WorkersLog(gateway, job) as log:
        await log.frames(0)
        assert (await client.post(f"{TASKS}/{task}/cancel")).json()["status"] == "cancelling"
        other = await submitted(client)
        await client.post(f"{TASKS}/{other}/cancel")
        await until_status(client, other, "cancelled")
        assert (await client.get(f"{TASKS}/{task}")).json()["status"] == "cancelling"
        assert b'"cancelled"' not in await log.frames(1)
        api.tell(job, **RUNNING | {"phase": "DISABLED", "reason": "Disabled"})
        await until_status(client, task, "cancelled")


async def test_a_task_that_is_annotated_by_hand_as_cancelled_is_shown_and_listed(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    for word in ("true", "", "0001-01-01T00:00:00+14:00"):
        task = await submitted(client)
        name = job_of(api, task)["metadata"]["name"]
        annotations = job_of(api, task)["metadata"]["annotations"] | {"videofleet.io/v-cancelled": word}
        api.put(VIDEOJOBS, "team-a", name, metadata={"annotations": annotations}, spec={"enabled": False})
        await until_status(client, task, "cancelled")
        shown = (await client.get(f"{TASKS}/{task}")).json()
        assert shown["updated_at"] == shown["created_at"]
        assert task in [each["id"] for each in (await client.get(TASKS)).json()["data"]]


@pytest.mark.acceptance("V91", "X6")
@pytest.mark.parametrize("reason", ["stop", "max_frames", "error"])
async def test_what_is_over_cannot_be_cancelled(gateway: Served, api: JobApi, reason: str) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    api.tell(job, **RUNNING)
    async with WorkersLog(gateway, job) as log:
        await log.frames(0)
        await log.finish(0, reason)
    await until_status(client, task, "failed" if reason == "error" else "succeeded")
    answer = await client.post(f"{TASKS}/{task}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert job_of(api, task)["spec"].get("enabled", True) is True


@pytest.mark.acceptance("V79", "V80", "V99")
async def test_a_task_that_never_began_fails_with_an_end_and_a_reason(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    failed: dict[str, Any] = {"phase": "NOT_STARTED", "run": 1, "epoch": 3, "attempt": 1}
    error = {
        "code": "NOT_FOUND",
        "message": "https://user:secret@h/?token=abc is not there",
        "time": "2026-01-01T00:00:00Z",
    }
    api.tell(job, **failed, lastError=error)
    assert (await client.get(f"{TASKS}/{task}")).json()["status"] == "pending"
    api.tell(job, **failed | {"attempt": 3}, conditions=FAILED, reason="RetriesExhausted")
    shown = await until_status(client, task, "failed")
    assert shown["error"]["code"] == "NOT_FOUND"
    assert "secret" not in shown["error"]["message"]
    assert "abc" not in shown["error"]["message"]
    async with asyncio.timeout(120):
        stream = (await client.get(f"{TASKS}/{task}/stream")).content
    assert [chunk if chunk == "[DONE]" else chunk["finish_reason"] for chunk in documents(stream)] == [
        "error",
        "[DONE]",
    ]
    assert b"secret" not in stream


@pytest.mark.acceptance("V81", "V82")
async def test_a_task_that_fails_on_its_way_keeps_what_it_has(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    api.tell(job, **RUNNING)
    async with WorkersLog(gateway, job) as log:
        part = await log.frames(0, 1)
    api.tell(job, **RUNNING | {"phase": "INTERRUPTED", "finished": True}, conditions=FAILED)
    await until_status(client, task, "failed")
    async with asyncio.timeout(120):
        stream = (await client.get(f"{TASKS}/{task}/stream")).content
    assert stream.startswith(part)
    assert documents(stream)[-2]["finish_reason"] == "error"


@pytest.mark.acceptance("V83")
async def test_a_task_that_failed_is_not_taken_up_again(gateway: Served, api: JobApi) -> None:
    """Its results end where it failed; who wants more makes another task, which begins at the beginning."""
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    api.tell(job, **RUNNING)
    async with WorkersLog(gateway, job) as log:
        await log.frames(0, 1)
    api.tell(job, **RUNNING | {"phase": "INTERRUPTED", "finished": True}, conditions=FAILED)
    await until_status(client, task, "failed")
    async with asyncio.timeout(120):
        stream = (await client.get(f"{TASKS}/{task}/stream")).content
        rest = await client.get(f"{TASKS}/{task}/stream", params={"offset": len(stream)})
    assert rest.status_code == 204
    assert (await client.post(f"{TASKS}/{task}/cancel")).status_code == 409
    assert (await client.post(f"{TASKS}/{task}/resume")).status_code == 404
    again = await submitted(client)
    assert again != task
    assert (await client.get(f"{TASKS}/{again}")).json()["status"] == "pending"


async def test_a_job_of_others_that_is_disabled_keeps_its_log_open(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    spec = {"source": {"url": "https://a.example/a.mp4"}, "analytics": [{"steps": [{"model": "detect"}]}]}
    job = api.job("once", spec=spec | {"singlePass": True, "enabled": False})
    api.tell(job, **RUNNING | {"phase": "DISABLED", "reason": "Disabled"})

    async def listed() -> Any:
        return (await client.get(TASKS)).json()["data"]

    (task,) = await until(listed, "the job is listed")
    async with WorkersLog(gateway, job) as log:
        await log.frames(0)
        await until_status(client, task["id"], "cancelling")
        assert not log.written.endswith(b"[DONE]\n\n")
