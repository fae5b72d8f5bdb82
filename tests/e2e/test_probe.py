"""`kubectl videojob probe` as a person calls it: through the API server and the operator to a worker and its source."""

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.cli import Ended, videojob
from videofleet_api.probe import LONGEST_PROBE


async def probe(deployment: Deployment, url: str, *arguments: str) -> Ended:
    """With no more than a kubeconfig."""
    patience = ["--timeout", str(LONGEST_PROBE)]
    return await videojob(
        "probe", url, *patience, *arguments, "-n", deployment.namespace, KUBECONFIG=tools.kubeconfig()
    )


async def test_what_a_camera_and_a_file_are_like(deployment: Deployment) -> None:
    camera = await probe(deployment, deployment.rtsp("cam1"), "-o", "json")
    assert camera.code == 0, camera.out + camera.err
    report = camera.json["report"]
    assert (report["works"], report["codec"], report["width"], report["height"]) == (True, "h264", 768, 576)
    assert report["live"] is True
    assert report["announcedFps"] == 10
    # By the camera's own times, so never more; pictures that were lost on the way are missing.
    assert 0 < report["measuredFps"] <= 10.1
    assert camera.json["worker"] in [pod["metadata"]["name"] for pod in deployment.workers()]
    file = await probe(deployment, deployment.http("vtest.mp4"))
    assert file.code == 0, file.out + file.err
    assert "recorded, 79.5 s" in file.out


async def test_why_a_source_does_not_work(deployment: Deployment) -> None:
    missing = await probe(deployment, deployment.http("missing.mp4"))
    assert (missing.code, "it does not work: NOT_FOUND" in missing.out) == (1, True), missing.out + missing.err
    # Nothing is sent there: what may not be reached is refused by its address.
    metadata = await probe(deployment, "http://169.254.169.254/latest/meta-data/")
    assert (metadata.code, "it does not work: FORBIDDEN" in metadata.out) == (1, True), metadata.out + metadata.err
