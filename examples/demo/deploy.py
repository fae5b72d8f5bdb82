"""Put videofleet and its cameras into the cluster: images, archive volume, chart, simulator."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from examples.demo import tools
from examples.demo.tools import ROOT, Json

ARCHIVES = Path("/var/lib/videofleet/archive")
"""On the node; the local cluster's node is this machine."""
WORKER_USER = 65532
CLAIM = "videofleet-archive"
GATEWAYS = ARCHIVES / "gateways"
GATEWAY_CLAIM = "videofleet-gateway"


@dataclass(frozen=True)
class Images:
    """Names of the built images."""

    operator: str
    worker: str
    cameras: str


def build_images() -> Images:
    """Build what has changed and make it known to the cluster."""
    return Images(
        operator=build_image("localhost/videofleet-operator", "operator/Dockerfile", "."),
        worker=build_image("localhost/videofleet-worker", "worker/Dockerfile", "."),
        cameras=build_image("localhost/videofleet-cameras", "examples/camera-simulator/Dockerfile", "examples"),
    )


def build_gateway() -> str:
    """The gateway's image, likewise."""
    return build_image("localhost/videofleet-gateway", "gateway/Dockerfile", ".")


def build_image(name: str, dockerfile: str, context: str) -> str:
    """One image, by its full name; paths are from the repository's root."""
    built = tools.localcluster("build-image", name, "--file", dockerfile, "--context", context).splitlines()[-1]
    tools.localcluster("load-image", built)
    return built


def namespace(name: str) -> None:
    """A namespace in which only pods of the restricted profile may run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    tools.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def archive_folder(namespace_name: str) -> Path:
    """Where results of jobs of this deployment lie on the node."""
    return ARCHIVES / namespace_name


def archive_volume(namespace_name: str) -> None:
    """A PersistentVolume on a folder of the node and the claim that workers mount."""
    _volume(namespace_name, CLAIM, f"{namespace_name}-archive", archive_folder(namespace_name))


def gateway_volume(namespace_name: str) -> None:
    """The same for the gateway's database."""
    _volume(namespace_name, GATEWAY_CLAIM, f"{namespace_name}-gateway", GATEWAYS / namespace_name)


def _volume(namespace_name: str, claim_name: str, volume_name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Kubernetes does not hand hostPath volumes over to the pod's group.
    os.chown(folder, WORKER_USER, WORKER_USER)
    size = {"storage": "10Gi"}
    volume: Json = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name},
        "spec": {
            "capacity": size,
            "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace_name, "name": claim_name},
            "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
        },
    }
    claim: Json = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name, "namespace": namespace_name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": volume_name,
            "resources": {"requests": size},
        },
    }
    tools.apply([volume, claim])


def install_chart(release: str, namespace_name: str, values: Json) -> None:
    """Install or upgrade the chart and wait until its operator is ready."""
    # Helm installs the CRDs of a chart once and never brings them up to date.
    tools.must("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    text = json.dumps(values)
    tools.must(
        "helm", "upgrade", "--install", "--skip-crds", release, str(ROOT / "charts/videofleet"), "-n", namespace_name,
        "-f", "-", "--wait", "--timeout", f"{tools.WAIT}s", stdin=text,
    )  # fmt: skip


def chart_values(namespace_name: str, images: Images, pool: Json, **further: Json) -> Json:
    """Values of the chart for a deployment that serves one namespace with one pool, `default`."""
    return {
        "operator": {"image": _repository_and_tag(images.operator)},
        "worker": {"image": _repository_and_tag(images.worker)},
        "watchNamespaces": [namespace_name],
        "archive": {"existingClaim": CLAIM},
        "workerPools": {"default": pool},
        **further,
    }


def gateway_values(image: str) -> Json:
    """Values that make the gateway, with its database on the volume of `gateway_volume`."""
    return {"enabled": True, "image": _repository_and_tag(image), "database": {"existingClaim": GATEWAY_CLAIM}}


def _repository_and_tag(image: str) -> Json:
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag}


def start_cameras(namespace_name: str, images: Images) -> None:
    """Apply the camera simulator and wait until it serves."""
    manifest = (ROOT / "examples/camera-simulator/simulator.yaml").read_text()
    manifest = manifest.replace("localhost/videofleet-cameras:dev", images.cameras)
    tools.must("kubectl", "apply", "-n", namespace_name, "-f", "-", stdin=manifest)
    tools.await_rollout("cameras", namespace_name)


def remove_archives() -> None:
    """Remove all results of demos and tests from this machine."""
    shutil.rmtree(ARCHIVES.parent, ignore_errors=True)
