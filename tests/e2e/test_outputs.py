"""Results that leave the pod: examples/outputs.yaml, as it is but for the namespace and the image."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import JOBS, await_phase, eventually, status

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "outputs.yaml"


@pytest.fixture(scope="module")
def example(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The example, as long as these tests run."""
    text = EXAMPLE.read_text().replace("videofleet-demo", deployment.namespace)
    manifests = tmp_path_factory.mktemp("example") / "outputs.yaml"
    manifests.write_text(re.sub(r"localhost/videofleet-cameras:\S+", deployment.images.cameras, text))
    tools.must("kubectl", "apply", "-f", str(manifests))
    try:
        tools.await_rollout("receiver", deployment.namespace)
        yield
    finally:
        tools.must("kubectl", "delete", "-f", str(manifests), "--ignore-not-found", "--wait=true")


def _received(deployment: Deployment) -> list[list[str]]:
    """Path, key and the rest of each post, as the receiver prints them."""
    log = tools.must("kubectl", "-n", deployment.namespace, "logs", "deployment/receiver")
    return [line.split(maxsplit=2) for line in log.splitlines() if line.startswith("/")]


def _came_to(deployment: Deployment, *paths: str) -> bool:
    return set(paths) <= {path for path, _, _ in _received(deployment)}


def test_best_shots_and_signed_events_reach_a_service(deployment: Deployment, example: None) -> None:
    await_phase("outputs", deployment.namespace, "INPROGRESS")
    eventually(lambda: _came_to(deployment, "/shots", "/events"), "a best shot and an event have come")

    posts = _received(deployment)
    assert {rest.partition(", ")[2] for path, _, rest in posts if path == "/events"} == {"signed well"}
    assert {rest.partition(", ")[2] for path, _, rest in posts if path == "/shots"} == {"not signed"}
    # One whose answer was late comes again, under its key.
    assert len({(path, key) for path, key, _ in posts}) == len({tuple(post) for post in posts}), (
        "a key is one message's"
    )


def test_who_is_told_is_changed_while_the_job_runs(deployment: Deployment, example: None) -> None:
    before = await_phase("outputs", deployment.namespace, "INPROGRESS")
    webhook = {"url": f"http://receiver.{deployment.namespace}.svc.cluster.local:8080/others"}
    patch = json.dumps({"spec": {"outputs": {"webhooks": [webhook]}}})
    tools.must("kubectl", "-n", deployment.namespace, "patch", JOBS, "outputs", "--type=merge", "-p", patch)

    eventually(lambda: _came_to(deployment, "/others"), "the new receiver is told")
    after = status("outputs", deployment.namespace)
    assert (after["phase"], after["epoch"]) == ("INPROGRESS", before["epoch"])
