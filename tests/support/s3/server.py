"""versitygw, a server of S3, in a pod of the cluster; server.yaml and Dockerfile beside this are its own."""

import os
import shutil
from pathlib import Path

from examples.demo import deploy, tools
from tests.support.kubectl import eventually

NAME = "s3"
"""Of the Deployment, the Service and the Secret with credentials."""
URL = f"http://{NAME}:7070"
"""In its namespace."""
_HERE = Path(__file__).parent


def build() -> str:
    """Its image, by its full name, where nothing has changed the one that there is."""
    programs = Path(tools.localcluster("program", "versitygw")).parent
    return deploy.build_image("localhost/videofleet-s3", str(_HERE / "Dockerfile"), str(programs))


def start(namespace: str, bucket: str) -> None:
    """With an empty bucket, on the volume that the namespace has for an archive. It may not be ready yet."""
    folder = deploy.archive_folder(namespace)
    for name in ("buckets", "attributes"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for made in (folder / "buckets", folder / "buckets" / bucket, folder / "attributes"):
        made.mkdir()
        os.chown(made, deploy.WORKER_USER, deploy.WORKER_USER)
    manifest = (_HERE / "server.yaml").read_text().replace("localhost/videofleet-s3:dev", build())
    tools.must("kubectl", "-n", namespace, "apply", "-f", "-", stdin=manifest)


def scale(namespace: str, replicas: int) -> None:
    """None (0) or one, and wait until that is so."""
    tools.must("kubectl", "-n", namespace, "scale", f"deployment/{NAME}", f"--replicas={replicas}")
    if replicas:
        tools.await_rollout(NAME, namespace)
    else:
        eventually(lambda: not tools.get_all("pods", namespace, f"app={NAME}"), "the server of S3 is gone")
