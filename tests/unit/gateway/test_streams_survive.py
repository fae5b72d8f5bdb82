"""Streams of many clients go on when a gateway is killed or drains: to the byte."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archives import frames_of, stored_log
from tests.support.gateway import NAMESPACE, JobApi
from tests.support.gateway_process import PATIENCE, GatewayProcess, Subscriber, have, until
from tests.support.programs import environment
from tests.support.v_tasks import SPEC
from videofleet_archive.store import FolderArchive
from videofleet_gateway.jobs.naming import id_annotation, job_name
from videofleet_gateway.tasks.tasks import DIALECT

CLIENTS = 50
FRAMES = 400
TASK = "vt_01ARZ3NDEKTSV4RRFFQ69G5FAV"
STREAM = f"/v1/video/tasks/{TASK}/stream"


class Writing:
    """A process that writes the log of the task."""

    def __init__(self, archive: Path, prefix: str) -> None:
        self._archive = archive
        self._prefix = prefix
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it."""
        arguments = [str(self._archive), self._prefix, str(FRAMES)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.log_writer", *arguments], env=environment(".", "api", "archive")
        )

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def ended(self) -> None:
        """Once it has written everything."""
        assert self.process is not None
        assert await asyncio.to_thread(self.process.wait, PATIENCE) == 0

    def log(self) -> bytes:
        """All that is durable."""
        return stored_log(FolderArchive(self._archive), self._prefix)


@pytest.fixture
def writing(api: JobApi, tmp_path: Path) -> Iterator[Writing]:
    """The task runs, and nothing is written yet."""
    status = {"phase": "INPROGRESS", "run": 1, "epoch": 1, "firstFrameTime": "2026-01-01T00:00:00Z"}
    metadata = {"annotations": {id_annotation(DIALECT): TASK}}
    job = api.job(job_name(DIALECT, TASK), spec=SPEC, status=status, metadata=metadata)
    one = Writing(tmp_path / "archive", f"{NAMESPACE}/{job['metadata']['uid']}/1/main")
    yield one
    one.kill()


def check(writing: Writing, heard: list[bytes]) -> None:
    """Each has the log, which has each frame once."""
    whole = writing.log()
    assert frames_of(whole) == list(range(FRAMES))
    assert [one == whole for one in heard] == [True] * len(heard)


@pytest.mark.acceptance("V72", "V73")
async def test_a_gateway_is_killed_and_another_takes_its_place(api: JobApi, tmp_path: Path, writing: Writing) -> None:
    gateway = GatewayProcess(tmp_path, api.host)
    try:
        await gateway.start()
        clients = [Subscriber(STREAM, [gateway.url]) for _ in range(CLIENTS)]
        listening = [asyncio.create_task(client.listen()) for client in clients]
        writing.begin()
        await until(lambda: have(clients, 2000), "all have heard something")
        gateway.kill()
        before = [len(client.got) for client in clients]
        await gateway.start()
        heard = await asyncio.gather(*listening)
        await writing.ended()
        check(writing, heard)
        assert all(client.connects == 2 for client in clients)
        assert max(before) < len(heard[0])
    finally:
        gateway.kill()


@pytest.mark.acceptance("V73", "V105")
async def test_a_replica_that_drains_is_not_ready_before_it_ends_streams_which_go_on_at_another(
    api: JobApi, tmp_path: Path, writing: Writing
) -> None:
    first = GatewayProcess(tmp_path, api.host, "first", drain_seconds="2")
    second = GatewayProcess(tmp_path, api.host, "second")
    try:
        await first.start()
        await second.start()
        clients = [Subscriber(STREAM, [first.url, second.url]) for _ in range(CLIENTS)]
        listening = [asyncio.create_task(client.listen()) for client in clients]
        writing.begin()
        await until(lambda: have(clients, 1000), "all have heard something")
        assert {client.origin for client in clients} == {first.url}
        first.terminate()
        streams: list[set[str]] = []

        async def unready() -> bool:
            found = await first.readiness() != 200
            streams.append({client.origin for client in clients})
            return found

        await until(unready, "it is not ready any more")
        assert streams[-1] == {first.url}
        check(writing, await asyncio.gather(*listening))
        assert all(client.connects == 2 for client in clients)
        assert await first.ended() == 0
    finally:
        first.kill()
        second.kill()
