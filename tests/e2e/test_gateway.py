"""The gateway through the chart: V as a client from outside uses it, with curl and with a connection that is lost."""

import contextlib
import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from examples.demo import tools
from tests.e2e.clients import Gateway, Subscriber, frames, gateway_of
from tests.e2e.conftest import Deployment, kill_pods
from tests.support.kubectl import JOBS, Json, applied, await_phase, eventually, job_manifest

JPEG = b"\xff\xd8"
LONG = 400
"""Frames of a task that is still at work when what it needs has been killed and has come back."""


@pytest.fixture(scope="module")
def gateway(deployment: Deployment) -> Gateway:
    return gateway_of(deployment)


@pytest.mark.acceptance("V1", "V2", "V11", "V20", "V21", "V65", "V72", "V89", "V92", "X1")
def test_a_task_by_curl_ends_with_done_and_has_results(deployment: Deployment, gateway: Gateway) -> None:
    made = gateway.submit(deployment.http("vtest.mp4"), sampling={"mode": "fps", "value": 5}, max_frames=30)
    log = gateway.curl(made["stream_url"], "-N", limit=120)
    assert log.splitlines()[-3] == b"data: [DONE]"
    assert len(frames(log)) == 30
    assert gateway.get(f"/v1/video/tasks/{made['id']}")["status"] == "succeeded"
    results = gateway.get(f"/v1/video/tasks/{made['id']}/results")
    assert (results["id"], results["model"]) == (made["id"], "qwen-vl-max")
    assert results["usage"]["processed_frames"] == 30
    assert {track["class"] for track in results["tracks"]} == {"pedestrian"}
    assert all(track["feature_digest"].startswith("dim=") for track in results["tracks"])
    half = len(log) // 2
    assert log[:half] + gateway.curl(f"{made['stream_url']}?offset={half}", "-N") == log
    (job,) = [job for job in tools.get_all(JOBS, deployment.namespace) if made["id"] in _annotations(job)]
    assert (job["status"]["phase"], job["spec"]["singlePass"]) == ("COMPLETED", True)
    assert deployment.http("vtest.mp4") in [listed["stream_url"] for listed in gateway.f("/jobs")]
    tools.must("kubectl", "-n", deployment.namespace, "delete", JOBS, job["metadata"]["name"])
    eventually(lambda: "error" in gateway.get(f"/v1/video/tasks/{made['id']}"), 60, "the task is gone with its job")


def _annotations(job: Json) -> list[str]:
    return list(job["metadata"].get("annotations", {}).values())


@pytest.mark.acceptance("X1", "V12")
def test_a_job_that_kubectl_made_is_a_task(deployment: Deployment, gateway: Gateway) -> None:
    job = job_manifest("by-kubectl", deployment.namespace, deployment.http("vtest.mp4"), singlePass=True, maxFrames=10)
    before = {task["id"] for task in gateway.get("/v1/video/tasks")["data"]}
    with applied(job):
        await_phase("by-kubectl", deployment.namespace, "COMPLETED", 120)
        (task,) = [task for task in gateway.get("/v1/video/tasks")["data"] if task["id"] not in before]
        assert task["status"] == "succeeded"
        assert frames(gateway.curl(f"/v1/video/tasks/{task['id']}/stream", "-N")) == list(range(10))


@pytest.mark.acceptance("F1", "F2", "F3", "F5", "F7", "F9", "F29", "F30", "F31", "F49", "F93", "X1", "A44")
def test_a_camera_through_f_with_its_picture_and_its_views(deployment: Deployment, gateway: Gateway) -> None:
    made = gateway.f("/job/cam%201", "--data", json.dumps({"stream_url": deployment.rtsp("cam1")}))
    assert (made["id"], made["status"]) == ("cam 1", "AWAITING")
    job = eventually(lambda: _in_progress(gateway), 120, "the camera is being processed")
    assert job["id"] in [listed["id"] for listed in gateway.f("/jobs")]
    (seen,) = [one for one in tools.get_all(JOBS, deployment.namespace) if "cam 1" in _annotations(one)]
    assert seen["status"]["phase"] == "INPROGRESS"
    # As a page does it: without a key, by the address alone.
    assert httpx.get(job["shots_url"], timeout=20).content.startswith(JPEG)
    with connect(job["restream_url"]) as live:
        assert live.recv(timeout=30)[:2] == JPEG
    with connect(job["restream_direct_url"]) as direct:
        assert direct.recv(timeout=30)
    gateway.f("/job/cam%201", "-X", "DELETE")
    assert gateway.f("/job/cam%201")["code"] == "NOT_FOUND"
    assert not [one for one in tools.get_all(JOBS, deployment.namespace) if "cam 1" in _annotations(one)]


def _in_progress(gateway: Gateway) -> Json | None:
    job: Json = gateway.f("/job/cam%201")
    return job if job["status"] == "INPROGRESS" and job["shots_url"] else None


@pytest.fixture
def slow_task(deployment: Deployment, gateway: Gateway) -> Iterator[Json]:
    """One that goes on for a while."""
    made = gateway.submit(deployment.http("vtest.mp4"), sampling={"mode": "interval", "value": 1}, max_frames=LONG)
    yield made
    gateway.curl(f"/v1/video/tasks/{made['id']}/cancel", "-X", "POST")


@contextlib.contextmanager
def everybody_hears_all(gateway: Gateway, task: Json) -> Iterator[list[Subscriber]]:
    """Fifty subscribers, who have heard something when this is entered; when it is left each has all of the log."""
    subscribers = [Subscriber(gateway.url + task["stream_url"], gateway.key) for _ in range(50)]
    threads = [threading.Thread(target=one.read, daemon=True) for one in subscribers]
    for thread in threads:
        thread.start()
    eventually(lambda: all(len(one.log) > 10_000 for one in subscribers), 120, "everybody has heard something")
    assert not any(one.done for one in subscribers)
    yield subscribers
    for thread in threads:
        thread.join(300)
    logs = {bytes(one.log) for one in subscribers}
    assert len(logs) == 1
    (log,) = logs
    assert frames(log) == list(range(LONG))
    assert log == gateway.curl(task["stream_url"], "-N")


@pytest.mark.acceptance("V72", "V73", "V81")
def test_a_worker_and_then_a_gateway_that_are_killed_cost_their_subscribers_no_byte(
    deployment: Deployment, gateway: Gateway, slow_task: Json
) -> None:
    with everybody_hears_all(gateway, slow_task) as subscribers:
        kill_pods(deployment, "videofleet.io/pool")
        eventually(lambda: all(b": epoch 2" in one.log for one in subscribers), 120, "the next worker goes on")
        # They have waited at the gateway, and the next worker goes on in the same log.
        assert {one.connections for one in subscribers} == {1}
        assert not any(one.done for one in subscribers)
        kill_pods(deployment, "app.kubernetes.io/component=gateway")
    assert all(one.connections > 1 for one in subscribers)
