"""Bad input: each ends in the phase and with the reason that the lifecycle says."""

import base64

import pytest

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import applied, await_phase, conditions, job_manifest, status


def secret(name: str, namespace: str, **values: str) -> dict[str, object]:
    """A Secret with these values."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data}


def test_a_url_with_a_password_is_refused_with_what_to_do_instead(deployment: Deployment) -> None:
    manifest = (tools.ROOT / "examples/bad.yaml").read_text()
    assert "namespace: videofleet-demo" in manifest
    manifest = manifest.replace("namespace: videofleet-demo", f"namespace: {deployment.namespace}")
    refused = tools.run("kubectl", "apply", "-f", "-", stdin=manifest)
    assert refused.returncode != 0
    assert (
        "url must not hold a user or a password: put them under the keys username and password of a Secret "
        "and name it in credentialsSecretRef"
    ) in refused.stderr


@pytest.mark.parametrize(
    ("name", "path", "phase", "reason"),
    [
        ("text-file", "notavideo.mp4", "MISCONFIGURED", "SourceUnsupported"),
        ("missing-file", "missing.mp4", "NOT_STARTED", "SourceNotFound"),
        ("zeros", "zeros.mp4", "MISCONFIGURED", "SourceUnsupported"),
        ("truncated", "truncated.mp4", "INTERRUPTED", "SourceCodec"),
    ],
)
def test_a_file_that_is_none(deployment: Deployment, name: str, path: str, phase: str, reason: str) -> None:
    spec = {"singlePass": True, "sampling": {"mode": "interval", "value": 10}}
    with applied(job_manifest(name, deployment.namespace, deployment.http(path), **spec)):
        seen = await_phase(name, deployment.namespace, phase, reason)
    assert seen["lastError"]["message"]
    assert conditions(seen)["Ready"] == "False"


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "dead-camera.videofleet-e2e.svc.cluster.local"], ids=["no such name", "nobody answers"]
)
def test_a_source_host_that_is_not_there(deployment: Deployment, host: str) -> None:
    name = "host-" + host.partition(".")[0]
    with applied(job_manifest(name, deployment.namespace, f"rtsp://{host}:8554/cam1")):
        seen = await_phase(name, deployment.namespace, "NOT_STARTED", "SourceNetwork")
        assert seen["nextRetryTime"]
        assert conditions(seen)["Stalled"] == "False"


def test_an_unknown_model_waits_and_says_which_there_are(deployment: Deployment) -> None:
    manifest = job_manifest("unknown-model", deployment.namespace, deployment.http("vtest.mp4"))
    manifest["spec"]["analytics"][0]["steps"] = [{"model": "detect-unicorns"}]
    with applied(manifest):
        seen = await_phase("unknown-model", deployment.namespace, "AWAITING", "ModelMissing")
    assert "detect-unicorns" in seen["message"]
    assert "nanodet-m-416" in seen["message"]


def test_an_unknown_class_is_misconfigured_and_names_it(deployment: Deployment) -> None:
    manifest = job_manifest("unknown-class", deployment.namespace, deployment.http("vtest.mp4"))
    manifest["spec"]["analytics"][0]["steps"] = [{"model": "detect", "parameters": {"classes": ["persn"]}}]
    with applied(manifest):
        seen = await_phase("unknown-class", deployment.namespace, "MISCONFIGURED", "BadParameter")
    assert "persn" in seen["message"]
    assert "person" in seen["message"]


def test_a_missing_secret_is_waited_for(deployment: Deployment) -> None:
    namespace = deployment.namespace
    source = {"credentialsSecretRef": {"name": "camera-login"}}
    with applied(job_manifest("secretive", namespace, deployment.rtsp("secure"), source=source)):
        waiting = await_phase("secretive", namespace, "AWAITING", "SecretMissing")
        assert "camera-login" in waiting["message"]
        with applied(secret("camera-login", namespace, username="camera", password="s3cret")):
            await_phase("secretive", namespace, "INPROGRESS")


def test_a_wrong_password_is_told_and_not_shown(deployment: Deployment) -> None:
    namespace = deployment.namespace
    source = {"credentialsSecretRef": {"name": "wrong-login"}}
    with (
        applied(secret("wrong-login", namespace, username="camera", password="not-the-password")),
        applied(job_manifest("wrong-password", namespace, deployment.rtsp("secure"), source=source)),
    ):
        await_phase("wrong-password", namespace, "NOT_STARTED", "SourceAuth")
        assert "not-the-password" not in str(status("wrong-password", namespace))
        logs = [tools.must("kubectl", "logs", pod["metadata"]["name"], "-n", namespace) for pod in deployment.workers()]
        logs.append(tools.must("kubectl", "logs", "deployment/videofleet-e2e-operator", "-n", namespace))
        assert not any("not-the-password" in log for log in logs)
