"""Workers as real processes, with certificates, and a camera simulator for their sources."""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.authority import Keys
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess
from videofleet_archive import log

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.made(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def simulator() -> Iterator[CameraSimulator]:
    with CameraSimulator(["--cameras", "2"]) as running:
        yield running


@pytest.fixture(scope="session")
def shared_worker(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[WorkerProcess]:
    """One worker for all tests that do it no harm; each takes what it assigned away again."""
    with WorkerProcess(tmp_path_factory.mktemp("shared") / "archive", keys.server) as running:
        yield running


@pytest.fixture
async def client(shared_worker: WorkerProcess, keys: Keys) -> AsyncIterator[WorkerClient]:
    """The operator of the shared worker, with a term above all before."""
    async with WorkerClient(shared_worker, keys.operator) as operator:
        operator.term = int((await operator.get("/v1/info")).body["term"]) + 1
        yield operator
        await operator.assign()


@pytest.fixture
def uid() -> str:
    """A job's uid of this test alone."""
    return f"job-{secrets.token_hex(4)}"


@pytest.fixture
def start_worker(tmp_path: Path, keys: Keys) -> Iterator[StartWorker]:
    """Starts workers of this test alone; all use one archive."""
    started: list[WorkerProcess] = []

    def start(**settings: str) -> WorkerProcess:
        worker = WorkerProcess(tmp_path / "archive", keys.server, name=f"worker-{len(started)}", **settings)
        started.append(worker)
        return worker.start()

    yield start
    for worker in started:
        worker.kill()


def chunks_of(data: bytes) -> list[dict[str, Any]]:
    """The chunk documents in the bytes of a log."""
    return [json.loads(document) for document in log.documents(data)]


def frames_of(data: bytes) -> list[int]:
    """The frame of each chunk but the terminal one."""
    return [one["stream_info"]["frame_index"] for one in chunks_of(data) if one["finish_reason"] is None]
