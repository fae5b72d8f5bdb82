"""Models from OCI images, mounted by the kubelet: refused by their digest, put right, and used by a job."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.demo import deploy, tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import Json, applied, await_phase, eventually, job_manifest

BUILTIN = tools.ROOT / "worker/videofleet_worker/models/builtin/nanodet-m-416"
LABEL = "passer-by"
"""What no model in the worker image finds."""
POOL = "brought"


@dataclass(frozen=True)
class Brought:
    """A model in an image."""

    image: str
    digest: str


@pytest.fixture(scope="module")
def brought(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Brought:
    """The usual detector under another name and with a label of its own, alone in an image that the cluster has."""
    context = tmp_path_factory.mktemp("street")
    folder = context / "street"
    folder.mkdir()
    shutil.copy(BUILTIN / "nanodet-m-416.onnx", folder / "street.onnx")
    manifest = yaml.safe_load((BUILTIN / "model.yaml").read_text())
    labels = [LABEL if label == "person" else label for label in manifest["labels"]]
    manifest |= {"name": "street", "file": "street.onnx", "labels": labels, "aliases": {}}
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY street /models/street\n")
    image = deploy.build_image("localhost/videofleet-model-street", str(context / "Dockerfile"), str(context))
    return Brought(image, digest(folder / "street.onnx", folder / "model.yaml"))


def digest(*files: Path) -> str:
    """As docs/models.md says."""
    return f"sha256:{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()}"


def pool(deployment: Deployment, **model: str) -> Json:
    """A pool of one worker with a model from an image."""
    return {
        "apiVersion": "videofleet.io/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": POOL, "namespace": deployment.namespace},
        "spec": {
            "minWorkers": 1,
            "maxWorkers": 1,
            "capacityPerWorker": 2,
            "capacityHints": "ignore",
            "archive": {"claimName": deploy.CLAIM},
            "models": [{"name": "scenes", **model}],
        },
    }


def pool_status(deployment: Deployment) -> dict[str, Any]:
    found = tools.get("workerpools.videofleet.io", POOL, deployment.namespace) or {}
    return found.get("status") or {}


def why_failing(deployment: Deployment) -> str:
    """What the pool's conditions say once its workers fail."""

    def told() -> str | None:
        ready = [one for one in pool_status(deployment).get("conditions", []) if one["type"] == "Ready"]
        failing = [one["message"] for one in ready if (one["status"], one["reason"]) == ("False", "WorkersFailing")]
        return failing[0] if failing else None

    return str(eventually(told, "the pool says why its worker fails"))


def test_a_model_from_an_image_is_refused_by_its_digest_then_used(deployment: Deployment, brought: Brought) -> None:
    other = f"sha256:{'0' * 64}"
    steps = [{"model": "street", "parameters": {"classes": [LABEL]}}, {"model": "track"}]
    clip = deployment.http("vtest.mp4")
    job = job_manifest(
        "by-street", deployment.namespace, clip, singlePass=True, maxFrames=60, analytics=[{"steps": steps}]
    )
    model = {"image": brought.image, "path": "models/street"}
    with applied(pool(deployment, **model, digest=other)), applied(job):
        said = why_failing(deployment)
        assert "model folder /models/scenes/models/street" in said
        assert f"one model of the digest {other} is wanted here, and there is street of {brought.digest}" in said
        waiting = await_phase("by-street", deployment.namespace, "AWAITING", "ModelMissing")
        assert "street" in waiting["message"]

        tools.apply(pool(deployment, **model, digest=brought.digest))
        status = await_phase("by-street", deployment.namespace, "COMPLETED")
        eventually(lambda: "street" in pool_status(deployment).get("models", []), "the pool names the model")
    result = json.loads((deployment.results(status) / "results.json").read_text())
    assert result["usage"]["processed_frames"] == 60
    seen = [track for track in result["tracks"] if track["frames_seen"] >= 30]
    assert len(seen) >= 3
    assert {track["class"] for track in result["tracks"]} == {LABEL}


def test_an_image_that_is_not_there_is_told(deployment: Deployment) -> None:
    missing = "localhost/videofleet-model-missing:1"
    with applied(pool(deployment, image=missing)):
        said = why_failing(deployment)
    assert "ErrImagePull" in said or "ImagePullBackOff" in said
    assert missing in said
