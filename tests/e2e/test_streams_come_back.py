"""Faults under a running camera: each heals by itself."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import (
    Json,
    Moves,
    applied,
    await_phase,
    conditions,
    eventually,
    job_manifest,
    status,
)

OPERATOR = "app.kubernetes.io/component=operator"


def running(deployment: Deployment, name: str) -> dict[str, Any]:
    """The status of a camera's job once frames are processed."""
    return await_phase(name, deployment.namespace, "INPROGRESS")


def await_ready(deployment: Deployment, name: str, ready: str) -> Json:
    """The status of a job once its condition Ready is this."""

    def check() -> Json | None:
        now = status(name, deployment.namespace)
        return now if conditions(now).get("Ready") == ready else None

    return dict(eventually(check, f"{name} has Ready={ready}"))


def log_size(deployment: Deployment, seen: dict[str, Any]) -> int:
    """Bytes of results so far."""
    return sum(segment.stat().st_size for segment in (deployment.results(seen) / "chunks").iterdir())


def delete_pod(deployment: Deployment, selector: str) -> None:
    """Take pods away without waiting for them."""
    tools.must("kubectl", "delete", "pod", "-n", deployment.namespace, "-l", selector, "--wait=false")


def test_a_camera_that_stops_is_reconnected_within_its_epoch(deployment: Deployment, moves: Moves) -> None:
    restart = {"reconnectWindow": 3600}
    with applied(job_manifest("restarted", deployment.namespace, deployment.rtsp("cam2"), restart=restart)):
        before = running(deployment, "restarted")
        deployment.fault("/cam2", "stop")
        lost = await_ready(deployment, "restarted", "False")
        assert (lost["phase"], lost["reason"]) == ("INPROGRESS", "Reconnecting")
        deployment.fault("/cam2", "none")
        after = await_ready(deployment, "restarted", "True")
        assert (after["epoch"], after["phase"]) == (before["epoch"], "INPROGRESS")
        assert moves.phases("restarted")[-1] == "INPROGRESS"


def test_a_camera_that_stays_away_is_interrupted_and_comes_back(deployment: Deployment, moves: Moves) -> None:
    restart = {"reconnectWindow": 3, "delay": 1, "maxDelay": 4}
    with applied(job_manifest("away", deployment.namespace, deployment.rtsp("cam3"), restart=restart)):
        before = running(deployment, "away")
        deployment.fault("/cam3", "stop")
        # It is that for a second, and then tried again.
        moves.await_phase("away", "INTERRUPTED")
        lost = status("away", deployment.namespace)
        assert lost["lastError"]["code"] in ("NETWORK", "NOT_FOUND")
        assert set(moves.reasons("away", "INTERRUPTED")) <= {"SourceNetwork", "SourceNotFound"}
        deployment.fault("/cam3", "none")
        assert running(deployment, "away")["epoch"] > before["epoch"]


def scale_cameras(deployment: Deployment, replicas: int) -> None:
    """Take the pod of all cameras away (0), or have one again (1), and wait until that is so."""
    tools.must("kubectl", "scale", "deployment/cameras", f"--replicas={replicas}", "-n", deployment.namespace)
    if replicas:
        eventually(lambda: deployment.control() is not None, "the cameras' control answers again")
        return
    selector = "app.kubernetes.io/name=camera-simulator"
    eventually(lambda: not tools.get_all("pods", deployment.namespace, selector), "the cameras' pod is gone")


@pytest.fixture
def cameras_again(deployment: Deployment) -> Iterator[None]:
    """Whatever a test does to the cameras' pod, the next one finds it there."""
    yield
    scale_cameras(deployment, 1)


@pytest.mark.usefixtures("cameras_again")
def test_cameras_whose_pod_goes_and_comes_are_waited_for_as_long_as_their_jobs_say(
    deployment: Deployment, moves: Moves
) -> None:
    def camera(name: str, path: str, **restart: float) -> Json:
        return job_manifest(name, deployment.namespace, deployment.rtsp(path), restart=restart)

    patient = camera("patient", "cam5", reconnectWindow=3600)
    forsaken = camera("forsaken", "cam6", reconnectWindow=2, delay=0.5, maxDelay=2)
    with applied(patient), applied(forsaken):
        held, given_up = running(deployment, "patient"), running(deployment, "forsaken")
        scale_cameras(deployment, 0)
        # First the run that had frames fails, then the tries that get none.
        lost = await_phase("forsaken", deployment.namespace, "NOT_STARTED", "SourceNetwork")
        assert lost["lastError"]["code"] == "NETWORK"
        assert "INTERRUPTED" in moves.phases("forsaken")
        eventually(lambda: status("patient", deployment.namespace)["reason"] == "Reconnecting", "reconnecting")
        size = log_size(deployment, held)
        scale_cameras(deployment, 1)
        await_ready(deployment, "patient", "True")
        eventually(lambda: log_size(deployment, held) > size, "results go on")
        after = status("patient", deployment.namespace)
        assert (after["phase"], after["epoch"]) == ("INPROGRESS", held["epoch"])
        assert after["transitions"] == held["transitions"]
        assert running(deployment, "forsaken")["epoch"] > given_up["epoch"] + 1


def test_a_worker_pod_that_is_deleted_gives_its_streams_to_the_next(deployment: Deployment, moves: Moves) -> None:
    with applied(job_manifest("orphan", deployment.namespace, deployment.rtsp("cam1"))):
        before = running(deployment, "orphan")
        delete_pod(deployment, "videofleet.io/pool=default")
        eventually(lambda: status("orphan", deployment.namespace).get("epoch", 0) > before["epoch"], "a new epoch")
        after = running(deployment, "orphan")
        assert after["worker"]["id"] != before["worker"]["id"]
        assert "INTERRUPTED" not in moves.phases("orphan")
        assert after["attempt"] == 0, "losing the worker is nobody's failed attempt"


def test_an_operator_that_is_deleted_leaves_streams_alone(deployment: Deployment) -> None:
    with applied(job_manifest("steady", deployment.namespace, deployment.rtsp("cam1"))):
        before = running(deployment, "steady")
        size = log_size(deployment, before)
        delete_pod(deployment, OPERATOR)
        eventually(lambda: log_size(deployment, before) > size, "results go on while no operator runs")
        with applied(job_manifest("after-operator", deployment.namespace, deployment.rtsp("cam1"))):
            running(deployment, "after-operator")
        after = status("steady", deployment.namespace)
        assert (after["epoch"], after["transitions"]) == (before["epoch"], before["transitions"])


def test_worker_and_operator_deleted_at_once(deployment: Deployment) -> None:
    with applied(job_manifest("both", deployment.namespace, deployment.rtsp("cam1"))):
        before = running(deployment, "both")
        delete_pod(deployment, OPERATOR)
        delete_pod(deployment, "videofleet.io/pool=default")
        eventually(lambda: status("both", deployment.namespace).get("epoch", 0) > before["epoch"], "a new epoch")
        running(deployment, "both")


def test_an_api_server_that_restarts_changes_nothing(deployment: Deployment) -> None:
    with applied(job_manifest("witness", deployment.namespace, deployment.rtsp("cam1"))):
        before = running(deployment, "witness")
        size = log_size(deployment, before)
        pid = api_server_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), "the API server has ended")
        eventually(lambda: tools.run("kubectl", "get", "--raw", "/readyz").returncode == 0, "it is back")
        eventually(lambda: log_size(deployment, before) > size, "results go on")
        with applied(job_manifest("after-api", deployment.namespace, deployment.rtsp("cam1"))):
            running(deployment, "after-api")
        after = status("witness", deployment.namespace)
        assert (after["epoch"], after["transitions"]) == (before["epoch"], before["transitions"])


def test_a_deleted_job_stops_within_seconds(deployment: Deployment) -> None:
    with applied(job_manifest("short", deployment.namespace, deployment.rtsp("cam1"))):
        before = running(deployment, "short")
        size = log_size(deployment, before)
        eventually(lambda: log_size(deployment, before) > size, "results grow while it is there")
    # A camera's log is sealed every second: what has not grown for three seconds has stopped.
    sizes: list[int] = []

    def rests() -> bool:
        sizes.append(log_size(deployment, before))
        return len(sizes) > 15 and len(set(sizes[-15:])) == 1

    eventually(rests, "the log of a deleted job rests")


def test_disabled_and_enabled_again(deployment: Deployment, moves: Moves) -> None:
    manifest = job_manifest("switch", deployment.namespace, deployment.rtsp("cam1"))
    with applied(manifest):
        before = running(deployment, "switch")
        manifest["spec"]["enabled"] = False
        tools.apply(manifest)
        await_phase("switch", deployment.namespace, "DISABLED")
        manifest["spec"]["enabled"] = True
        tools.apply(manifest)
        assert running(deployment, "switch")["epoch"] > before["epoch"]
        phases = moves.phases("switch")
    at = phases.index("DISABLED")
    assert phases[at - 1 : at + 3] == ["INPROGRESS", "DISABLED", "AWAITING", "STARTING"]


def api_server_pid() -> int:
    """Of the local cluster's API server."""
    state = Path(os.environ.get("VIDEOFLEET_LOCALCLUSTER_DIR", "/var/lib/videofleet-localcluster"))
    return int((state / "pids" / "kube-apiserver.pid").read_text().split()[0])
