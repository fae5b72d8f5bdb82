"""One deployment on the real node for all end-to-end tests: images, chart, cameras, in a namespace of their own."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples.demo import deploy, tools
from tests.support.kubectl import JOBS, Moves, eventually, watching

NAMESPACE = "videofleet-e2e"
RELEASE = "videofleet-e2e"
CAMERAS = f"cameras.{NAMESPACE}.svc.cluster.local"
# However few streams this machine is found to hold while it is busy with tests: none of them waits for room.
POOL = {"minWorkers": 1, "maxWorkers": 1, "capacityPerWorker": 12, "capacityHints": "ignore"}


@dataclass(frozen=True)
class Deployment:
    """What the tests need to know."""

    namespace: str
    images: deploy.Images

    def rtsp(self, path: str) -> str:
        """Address of a simulated camera."""
        return f"rtsp://{CAMERAS}:8554/{path}"

    def http(self, path: str) -> str:
        """Address of a file of the simulator."""
        return f"http://{CAMERAS}:8080/{path}"

    def fault(self, path: str, fault: str) -> None:
        """Make a simulated camera misbehave, or well again with `none`."""
        status = self.control(json.dumps({"path": path, "fault": fault}).encode())
        assert status in (200, 204), f"{fault} on {path}: HTTP status {status}"

    def control(self, body: bytes | None = None) -> int | None:
        """HTTP status of a POST to (without a body: a GET from) the simulator's control; None: nobody answers."""
        service = tools.get("service", "cameras", self.namespace)
        assert service is not None
        url = f"http://{service['spec']['clusterIP']}:8090/faults"
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def results(self, status: dict[str, Any]) -> Path:
        """Folder with the results of a job's newest run."""
        return deploy.archive_folder(self.namespace) / str(status["analytics"][0]["results"])

    def workers(self) -> list[dict[str, Any]]:
        """Worker pods that are not being deleted."""
        pods = tools.get_all("pods", self.namespace, "videofleet.io/pool")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The chart, installed; taken away at the end."""
    images = deploy.build_images()
    # What a run that was cut off has left would take part in this one.
    _remove()
    deploy.namespace(NAMESPACE)
    deploy.archive_volume(NAMESPACE)
    deploy.gateway_volume(NAMESPACE)
    gateway = {**deploy.gateway_values(deploy.build_gateway()), "drainSeconds": 2}
    values = deploy.chart_values(NAMESPACE, images, POOL, gateway=gateway)
    deploy.install_chart(RELEASE, NAMESPACE, values)
    deploy.start_cameras(NAMESPACE, images)
    deployed = Deployment(NAMESPACE, images)
    eventually(lambda: ready_workers(deployed), 120, "a worker is ready")
    eventually(lambda: deployed.control() is not None, 120, "the cameras' control answers through its Service")
    yield deployed
    _remove()


def _remove() -> None:
    """Take everything away."""
    # Where pods are left the namespace's end is looked for again only after half of their time to end, a minute or so.
    for kinds in (JOBS, "workerpools.videofleet.io", "deployments"):
        tools.run("kubectl", "delete", kinds, "--all", "-n", NAMESPACE, "--wait=true", "--timeout=60s")
    tools.run("kubectl", "wait", "--for=delete", "pods", "--all", "-n", NAMESPACE, "--timeout=60s")
    tools.must("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", timeout=240)
    volumes = [f"{NAMESPACE}-archive", f"{NAMESPACE}-gateway"]
    tools.must("kubectl", "delete", "persistentvolumes", *volumes, "--ignore-not-found")
    # What the chart makes outside of its namespace.
    selector = f"app.kubernetes.io/instance={RELEASE}"
    tools.must(
        "kubectl", "delete", "clusterroles,clusterrolebindings,flowschemas", "-l", selector, "--ignore-not-found"
    )
    tools.run("kubectl", "delete", "videolicenses.videofleet.io", "default", "--ignore-not-found")


def ready_workers(deployed: Deployment) -> int:
    """Workers that answer the operator, as the pool's status tells."""
    pool = tools.get("workerpools.videofleet.io", "default", deployed.namespace)
    return int(((pool or {}).get("status") or {}).get("workers", {}).get("ready", 0))


@pytest.fixture
def moves(deployment: Deployment) -> Iterator[Moves]:
    """Every change of phase while the test runs."""
    with watching(deployment.namespace) as found:
        yield found


@pytest.fixture(autouse=True)
def well_cameras(deployment: Deployment) -> Iterator[None]:
    """No test inherits another one's faults."""
    yield
    deployment.fault("*", "none")
