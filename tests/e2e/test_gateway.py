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
from tests.support.kubectl import JOBS, PATIENCE, Json, applied, await_phase, eventually, job_manifest

JPEG = b"\xff\xd8"
CAMERA = "/job/cam%201"
SLOW = {"mode": "all", "speed": 0.1}
"""A frame a second: the clip lasts for a quarter of an hour, and what is done to it meanwhile does not."""


@pytest.fixture(scope="module")
def gateway(deployment: Deployment) -> Gateway:
    return gateway_of(deployment)


@pytest.mark.acceptance("V1", "V2", "V11", "V20", "V21", "V65", "V72", "V89", "V92", "X1")
def test_a_task_by_curl_ends_with_done_and_has_results(deployment: Deployment, gateway: Gateway) -> None:
    made = gateway.submit(deployment.http("vtest.mp4"), sampling={"mode": "fps", "value": 5}, max_frames=30)
    log = gateway.curl(made["stream_url"], "-N")
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
    assert job["spec"]["singlePass"] is True
    # The log ends first: the operator hears of it from the worker.
    await_phase(job["metadata"]["name"], deployment.namespace, "COMPLETED")
    assert deployment.http("vtest.mp4") in [listed["stream_url"] for listed in gateway.f("/jobs")]
    tools.must("kubectl", "-n", deployment.namespace, "delete", JOBS, job["metadata"]["name"])
    eventually(lambda: "error" in gateway.get(f"/v1/video/tasks/{made['id']}"), "the task is gone with its job")


def _annotations(job: Json) -> list[str]:
    return list(job["metadata"].get("annotations", {}).values())


@pytest.mark.acceptance("X1", "V12")
def test_a_job_that_kubectl_made_is_a_task(deployment: Deployment, gateway: Gateway) -> None:
    job = job_manifest("by-kubectl", deployment.namespace, deployment.http("vtest.mp4"), singlePass=True, maxFrames=10)
    before = _tasks(gateway)
    with applied(job):
        await_phase("by-kubectl", deployment.namespace, "COMPLETED")
        task = _new_task(gateway, before)
        assert frames(gateway.curl(task["stream_url"], "-N")) == list(range(10))
        assert gateway.get(f"/v1/video/tasks/{task['id']}")["status"] == "succeeded"


def _tasks(gateway: Gateway) -> set[str]:
    return {task["id"] for task in gateway.get("/v1/video/tasks")["data"]}


def _new_task(gateway: Gateway, before: set[str]) -> Json:
    """The only task that is not among these ids; the gateway hears of jobs when it does."""

    def new() -> list[Json]:
        return [task for task in gateway.get("/v1/video/tasks")["data"] if task["id"] not in before]

    (task,) = eventually(new, "the gateway knows the job")
    found: Json = task
    return found


@pytest.fixture
def f_camera(deployment: Deployment, gateway: Gateway) -> Iterator[None]:
    """A camera that F has made, and that is gone in the end."""
    made = gateway.f(CAMERA, "--data", json.dumps({"stream_url": deployment.rtsp("cam1")}))
    assert (made["id"], made["status"]) == ("cam 1", "AWAITING")
    yield
    gateway.f(CAMERA, "-X", "DELETE")


@pytest.mark.acceptance("F1", "F2", "F3", "F5", "F7", "F9", "F29", "F30", "F31", "F49", "F93", "X1", "A44")
def test_a_camera_through_f_with_its_picture_and_its_views(
    deployment: Deployment, gateway: Gateway, f_camera: None
) -> None:
    job = eventually(lambda: _in_progress(gateway), "the camera is being processed")
    assert job["id"] in [listed["id"] for listed in gateway.f("/jobs")]
    (seen,) = [one for one in tools.get_all(JOBS, deployment.namespace) if "cam 1" in _annotations(one)]
    assert seen["status"]["phase"] == "INPROGRESS"
    # As a page does it: without a key, by the address alone.
    assert httpx.get(job["shots_url"], timeout=PATIENCE).content.startswith(JPEG)
    with connect(job["restream_url"], open_timeout=PATIENCE) as live:
        assert live.recv(timeout=PATIENCE)[:2] == JPEG
    with connect(job["restream_direct_url"], open_timeout=PATIENCE) as direct:
        assert direct.recv(timeout=PATIENCE)
    gateway.f(CAMERA, "-X", "DELETE")
    assert gateway.f(CAMERA)["code"] == "NOT_FOUND"
    assert not [one for one in tools.get_all(JOBS, deployment.namespace) if "cam 1" in _annotations(one)]


def _in_progress(gateway: Gateway) -> Json | None:
    job: Json = gateway.f(CAMERA)
    return job if job["status"] == "INPROGRESS" and job["shots_url"] else None


@pytest.fixture
def slow_task(deployment: Deployment, gateway: Gateway) -> Iterator[Json]:
    """One that goes on for a while."""
    before = _tasks(gateway)
    job = job_manifest("slow", deployment.namespace, deployment.http("vtest.mp4"), singlePass=True, sampling=SLOW)
    with applied(job):
        yield _new_task(gateway, before)


@contextlib.contextmanager
def everybody_hears_all(gateway: Gateway, task: Json) -> Iterator[list[Subscriber]]:
    """Fifty subscribers, who have heard something when this is entered; when it is left each has all of the log."""
    subscribers = [Subscriber(gateway.url + task["stream_url"], gateway.key) for _ in range(50)]
    threads = [threading.Thread(target=one.read, daemon=True) for one in subscribers]
    for thread in threads:
        thread.start()
    heard_more(subscribers)
    yield subscribers
    for thread in threads:
        thread.join(PATIENCE)
    logs = {bytes(one.log) for one in subscribers}
    assert len(logs) == 1
    (log,) = logs
    told = frames(log)
    assert told == list(range(len(told))), "each frame is told once, whoever was lost meanwhile"
    assert log == gateway.curl(task["stream_url"], "-N")


def heard_more(subscribers: list[Subscriber]) -> None:
    """Until each of them has heard more than any has until now."""
    most = max(len(one.log) for one in subscribers)
    eventually(lambda: all(len(one.log) > most for one in subscribers), "everybody has heard something more")


@pytest.mark.acceptance("V72", "V73", "V81")
def test_a_worker_and_then_a_gateway_that_are_killed_cost_their_subscribers_no_byte(
    deployment: Deployment, gateway: Gateway, slow_task: Json
) -> None:
    with everybody_hears_all(gateway, slow_task) as subscribers:
        kill_pods(deployment, "videofleet.io/pool")
        eventually(lambda: all(b": epoch 2" in one.log for one in subscribers), "the next worker goes on")
        # They have waited at the gateway, and the next worker goes on in the same log.
        assert {one.connections for one in subscribers} == {1}
        kill_pods(deployment, "app.kubernetes.io/component=gateway")
        eventually(lambda: all(one.connections > 1 for one in subscribers), "everybody has lost the gateway")
        heard_more(subscribers)
        gateway.curl(f"/v1/video/tasks/{slow_task['id']}/cancel", "-X", "POST")
    assert all(one.done for one in subscribers)
