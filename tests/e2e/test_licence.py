"""A licence for one stream: the second waits, and starts by itself when the first one goes."""

import json
from contextlib import ExitStack

import pytest

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import applied, await_phase, conditions, eventually, job_manifest
from tests.support.licences import Signer

SECRET = "licence-of-the-tests"


@pytest.fixture
def signer(deployment: Deployment) -> Signer:
    """A signer whose key the deployed operator trusts from now on."""
    signer = Signer.new()
    keys = {"licence": {"publicKeys": {"tests.pem": signer.public_pem}}}
    chart = str(tools.ROOT / "charts/videofleet")
    arguments = [deployment.release, chart, "-n", deployment.namespace, "--reuse-values", "-f", "-", "--wait"]
    tools.must("helm", "upgrade", *arguments, stdin=json.dumps(keys))
    return signer


def licence_secret(deployment: Deployment, text: str) -> dict[str, object]:
    """The Secret that the VideoLicense names."""
    metadata = {"name": SECRET, "namespace": deployment.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"license": text}}


def video_license(deployment: Deployment) -> dict[str, object]:
    """The VideoLicense of the cluster."""
    reference = {"namespace": deployment.namespace, "name": SECRET}
    return {
        "apiVersion": "videofleet.io/v1alpha1",
        "kind": "VideoLicense",
        "metadata": {"name": "default"},
        "spec": {"secretRef": reference},
    }


def test_a_licence_for_one_stream(deployment: Deployment, signer: Signer) -> None:
    namespace = deployment.namespace
    with applied(licence_secret(deployment, signer.sign(1))), applied(video_license(deployment)):
        eventually(lambda: _valid() == "True", "the licence is valid")
        with ExitStack() as second:
            with applied(job_manifest("first", namespace, deployment.rtsp("cam1"))):
                await_phase("first", namespace, "INPROGRESS")
                second.enter_context(applied(job_manifest("second", namespace, deployment.rtsp("cam1"))))
                waiting = await_phase("second", namespace, "TOO_MANY_CAMERAS", "LicenceExhausted")
                assert "1 of 1" in waiting["message"]
            await_phase("second", namespace, "INPROGRESS")


def test_a_licence_that_has_ended_starts_nothing_new(deployment: Deployment, signer: Signer) -> None:
    namespace = deployment.namespace
    with applied(job_manifest("before", namespace, deployment.rtsp("cam1"))):
        await_phase("before", namespace, "INPROGRESS")
        with applied(licence_secret(deployment, signer.sign(5, days=-1))), applied(video_license(deployment)):
            eventually(lambda: _valid() == "False", "the licence has ended")
            with applied(job_manifest("late", namespace, deployment.rtsp("cam1"))):
                seen = await_phase("late", namespace, "TOO_MANY_CAMERAS", "LicenceInvalid")
                assert "expired" in seen["message"]
            assert await_phase("before", namespace, "INPROGRESS")["epoch"] == 1, "what runs goes on"


def _valid() -> str | None:
    text = tools.must("kubectl", "get", "videolicenses.videofleet.io", "default", "-o", "json", "--ignore-not-found")
    return conditions(json.loads(text).get("status") or {}).get("Valid") if text.strip() else None
