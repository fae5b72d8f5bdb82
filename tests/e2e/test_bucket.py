"""An archive in a bucket, on the real node: a camera, a server of S3 in a pod, and a stream of the gateway."""

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from examples.demo import deploy, tools
from tests.e2e.clients import Subscriber, gateway_of
from tests.e2e.conftest import NAMESPACE, Deployment, emptied, install, kill_pods
from tests.support.kubectl import PATIENCE, applied, eventually, job_manifest
from tests.support.s3 import server
from videofleet_api import names
from videofleet_archive import log

SAMPLING = {"mode": "fps", "value": 2}
HELD = 8
"""Results that the worker has to keep while the bucket is away."""


@pytest.fixture
def with_bucket(deployment: Deployment) -> Iterator[Deployment]:
    """A second deployment, for the cameras of the first. Its workers and its gateway have credentials and no volume."""
    second = Deployment(f"{NAMESPACE}-bucket", deployment.images)
    with emptied(second):
        server.start(second.namespace, "results")
        s3 = {"bucket": "results", "prefix": "site/a", "endpoint": server.URL, "credentialsSecret": server.NAME}
        install(second, archive={"existingClaim": "", "s3": s3}, operator={"replicas": 1})
        server.scale(second.namespace, 1)
        yield second


@pytest.mark.acceptance("V72", "V81")
def test_a_stream_out_of_a_bucket_survives_its_worker_and_the_bucket(with_bucket: Deployment) -> None:
    gateway = gateway_of(with_bucket)
    camera = job_manifest("camera", with_bucket.namespace, with_bucket.rtsp("cam4"), sampling=SAMPLING, singlePass=True)
    with applied(camera):
        (task,) = eventually(lambda: gateway.get("/v1/video/tasks")["data"], "the gateway knows the job")
        with reading(Subscriber(gateway.url + task["stream_url"], gateway.key)) as reader:
            eventually(lambda: len(times(reader.log)) > 5, "results come while they are made")
            kill_pods(with_bucket, "videofleet.io/pool")
            eventually(lambda: times_by_the_next(reader), "another worker goes on in the log")

            lose_bucket(with_bucket)
            analysed = count(with_bucket, "frames_processed")
            eventually(lambda: count(with_bucket, "frames_processed") > analysed + HELD, "the worker goes on")
            assert stored(with_bucket).startswith(reader.log), "what is not durable is not told"
            server.scale(with_bucket.namespace, 1)
            analysed = count(with_bucket, "frames_processed")
            eventually(lambda: len(times_by_the_next(reader)) >= analysed, "every result has come")
            gateway.curl(f"/v1/video/tasks/{task['id']}/cancel", "-X", "POST")
        assert reader.done
        assert reader.log == gateway.curl(task["stream_url"], "-N")
    seen = times(reader.log)
    assert seen == sorted(set(seen)), "nothing is told twice"
    assert check(with_bucket) == "1 logs, 0 wrong"


@contextmanager
def reading(reader: Subscriber) -> Iterator[Subscriber]:
    """While the block runs, and then until it has heard the end."""
    thread = threading.Thread(target=reader.read, daemon=True)
    thread.start()
    yield reader
    thread.join(PATIENCE)


def times(told: bytes | bytearray) -> list[float]:
    """When each frame was captured whose result has come whole."""
    whole, _, _ = bytes(told).rpartition(b"\n\n")
    chunks = [json.loads(document) for document in log.documents(whole)]
    return [chunk["stream_info"]["capture_time"] for chunk in chunks if chunk["finish_reason"] is None]


def times_by_the_next(reader: Subscriber) -> list[float]:
    """Those that the second worker has told."""
    return times(reader.log.partition(b"\n: epoch 2")[2])


def lose_bucket(deployment: Deployment) -> None:
    """Its server's pod goes, and the worker has noticed."""
    server.scale(deployment.namespace, 0)
    eventually(lambda: count(deployment, "archive_errors"), "the worker has noticed")


def stored(deployment: Deployment) -> bytes:
    """The bytes of the only log, as the files lie that the server keeps for its objects."""
    buckets = deploy.archive_folder(deployment.namespace) / "buckets"
    (folder,) = buckets.glob("**/chunks")
    return b"".join(segment.read_bytes() for segment in sorted(folder.iterdir()))


def count(deployment: Deployment, metric: str) -> float:
    """A counter of the only worker, of its only job."""
    (worker,) = deployment.workers()
    url = f"http://{worker['status']['podIP']}:{names.WORKER_PLAIN_PORT}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    (found,) = re.findall(rf"^videofleet_{metric}_total{{.*}} (.+)$", text, re.MULTILINE)
    return float(found)


def check(deployment: Deployment) -> str:
    """What `videofleet-archive check` says, where the gateway has the archive."""
    command = (
        'python -m videofleet_archive check --archive "$VIDEOFLEET_ARCHIVE" --endpoint "$VIDEOFLEET_ARCHIVE_ENDPOINT"'
    )
    gateway = f"deployment/{deployment.release}-gateway"
    said = tools.must("kubectl", "-n", deployment.namespace, "exec", gateway, "--", "sh", "-c", command)
    return said.strip()
