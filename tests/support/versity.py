"""A bucket in versitygw, a server of S3 whose buckets are folders, where it is built (`VIDEOFLEET_S3_SERVER`)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.buckets import BUCKET, KEY, SECRET, Address
from tests.support.programs import free_port
from tests.support.waiting import wait_until

PROGRAM = os.environ.get("VIDEOFLEET_S3_SERVER", "")
_START_SECONDS = 120.0


@dataclass(frozen=True)
class VersityBucket(Address):
    """The server with an empty bucket."""

    folder: Path

    def put_at_once(self, prefix: str, keys: Iterable[str]) -> None:
        """See PythonBucket."""
        for key in keys:
            path = self.folder / BUCKET / prefix / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@contextmanager
def versity_bucket(folder: Path) -> Iterator[VersityBucket]:
    """The server over a folder; what it knows besides of objects lies in another one, since not every file system has
    extended attributes."""
    (folder / "data" / BUCKET).mkdir(parents=True)
    (folder / "attributes").mkdir()
    port = free_port()
    command = [PROGRAM, "--port", f"127.0.0.1:{port}", "--health", "/health", "posix"]
    command += ["--sidecar", str(folder / "attributes"), str(folder / "data")]
    environment = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: _answers(process, port, log), "versitygw answers", _START_SECONDS)
        yield VersityBucket("127.0.0.1", port, folder / "data")
    finally:
        process.kill()
        process.wait()


def _answers(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.HTTPError:
        return False
