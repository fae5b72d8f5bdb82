"""One deployment on the real node for all end-to-end tests: images, chart, cameras, in a namespace of their own."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples.demo import deploy, tools
from tests.support.kubectl import JOBS, Moves, eventually, watching

NAMESPACE = "videofleet-e2e"
"""Of the deployment that nearly all tests share, and of the cameras."""
CAMERAS = f"cameras.{NAMESPACE}.svc.cluster.local"
# However few streams this machine is found to hold while it is busy with tests: none of them waits for room.
POOL = {"minWorkers": 1, "maxWorkers": 1, "capacityPerWorker": 12, "capacityHints": "ignore"}


@dataclass(frozen=True)
class Deployment:
    """What the tests need to know."""

    namespace: str
    images: deploy.Images

    @property
    def release(self) -> str:
        """Helm's name of it."""
        return self.namespace

    def rtsp(self, path: str) -> str:
        """Address of a simulated camera."""
        return f"rtsp://{CAMERAS}:8554/{path}"

    def http(self, path: str) -> str:
        """Address of a file of the simulator."""
        return f"http://{CAMERAS}:8080/{path}"

    def fault(self, path: str, fault: str) -> None:
        """Make a simulated camera misbehave, or well again with `none`."""
        body = json.dumps({"path": path, "fault": fault}).encode()
        # Nobody answers: a moment ago it was too busy to be ready, and its Service has no address.
        status = eventually(lambda: self.control(body), f"the cameras' control answers to {fault} on {path}")
        assert status in (200, 204), f"{fault} on {path}: HTTP status {status}"

    def control(self, body: bytes | None = None) -> int | None:
        """HTTP status of a POST to (without a body: a GET from) the simulator's control; None: nobody answers."""
        service = tools.get("service", "cameras", NAMESPACE)
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
def images() -> deploy.Images:
    """Built, where they are not."""
    return deploy.build_images()


@pytest.fixture(scope="session")
def deployment(images: deploy.Images) -> Iterator[Deployment]:
    """The chart, installed; taken away at the end."""
    deployed = Deployment(NAMESPACE, images)
    with emptied(deployed):
        install(deployed)
        deploy.start_cameras(NAMESPACE, images)
        eventually(lambda: ready_workers(deployed), "a worker is ready")
        eventually(lambda: deployed.control() is not None, "the cameras' control answers through its Service")
        yield deployed


@contextmanager
def emptied(deployment: Deployment) -> Iterator[None]:
    """Its namespace, with volumes for an archive and a gateway and nothing else; all is taken away at the end."""
    # What a run that was cut off has left would take part in this one.
    _remove(deployment, wait=True)
    deploy.namespace(deployment.namespace)
    deploy.archive_volume(deployment.namespace)
    deploy.gateway_volume(deployment.namespace)
    try:
        yield
    finally:
        _remove(deployment, wait=False)


def install(deployment: Deployment, **further: deploy.Json) -> None:
    """The chart; `further`: parts of its values, beside the usual ones. Workers need not be ready yet."""
    gateway = {**deploy.gateway_values(deploy.build_gateway()), "drainSeconds": 2}
    values = deploy.chart_values(deployment.namespace, deployment.images, POOL, gateway=gateway)
    more = {part: {**values[part], **given} for part, given in further.items()}
    deploy.install_chart(deployment.release, deployment.namespace, {**values, **more})


def _remove(deployment: Deployment, *, wait: bool) -> None:
    """Take everything away. `wait`: until nothing of it is left."""
    namespace, waiting = deployment.namespace, f"--wait={str(wait).lower()}"
    # These go while there is an operator to see to it.
    for kinds in (JOBS, "workerpools.videofleet.io"):
        tools.run("kubectl", "delete", kinds, "--all", "-n", namespace, "--wait=true", "--timeout=60s")
    if wait:
        # Where pods are left the namespace's end is looked for again only after half of their time to end.
        tools.run("kubectl", "delete", "deployments", "--all", "-n", namespace, "--wait=true", "--timeout=60s")
        tools.run("kubectl", "wait", "--for=delete", "pods", "--all", "-n", namespace, "--timeout=60s")
    tools.must("kubectl", "delete", "namespace", namespace, "--ignore-not-found", waiting)
    volumes = [f"{namespace}-archive", f"{namespace}-gateway"]
    tools.must("kubectl", "delete", "persistentvolumes", *volumes, "--ignore-not-found", waiting)
    # What the chart makes outside of its namespace.
    selector = f"app.kubernetes.io/instance={deployment.release}"
    tools.must(
        "kubectl", "delete", "clusterroles,clusterrolebindings,flowschemas", "-l", selector, "--ignore-not-found"
    )
    tools.run("kubectl", "delete", "videolicenses.videofleet.io", "default", "--ignore-not-found")


def ready_workers(deployed: Deployment) -> int:
    """Workers that answer the operator, as the pool's status tells."""
    pool = tools.get("workerpools.videofleet.io", "default", deployed.namespace)
    return int(((pool or {}).get("status") or {}).get("workers", {}).get("ready", 0))


def kill_pods(deployment: Deployment, selector: str) -> None:
    """At once, without a word to them."""
    tools.must(
        "kubectl", "-n", deployment.namespace, "delete", "pods", "-l", selector, "--grace-period=0", "--force",
        "--wait=false",
    )  # fmt: skip


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
