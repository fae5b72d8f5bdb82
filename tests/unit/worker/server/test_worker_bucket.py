"""A worker whose archive is a bucket."""

from pathlib import Path

import pytest

from tests.support.buckets import Fault, FaultyProxy, archive_at, bucket_server, credentials
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, StartWorker, frames_of
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_archive.check import check_log
from videofleet_archive.results import results_key


async def test_results_of_a_file_lie_in_the_bucket_as_they_were_told(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, tmp_path: Path, uid: str
) -> None:
    with bucket_server() as server, FaultyProxy(server) as proxy:
        secret = credentials(tmp_path / "credentials")
        worker = start_worker(
            ARCHIVE="s3://results/site/a", archive_endpoint=proxy.address.url, archive_credentials=str(secret)
        )
        async with WorkerClient(worker, keys.operator) as client:
            await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=12))
            last = (await client.until(uid, TERMINAL))[-1]
            assert last.state is JobState.ENDED
            told = await client.log(uid)
        assert frames_of(told) == list(range(12))
        archive, prefix = archive_at(server, secret), f"default/{uid}/1/main"
        assert check_log(archive, prefix) == []
        assert archive.read(results_key(prefix)) is not None


def test_a_store_that_does_not_know_conditions_ends_the_worker_with_that(keys: Keys, tmp_path: Path) -> None:
    with bucket_server() as server, FaultyProxy(server) as proxy:
        proxy.plan = lambda request: Fault.UNCONDITIONAL
        secret = credentials(tmp_path / "credentials")
        worker = WorkerProcess(
            tmp_path / "archive",
            keys.server,
            ARCHIVE="s3://results",
            archive_endpoint=proxy.address.url,
            archive_credentials=str(secret),
        )
        with pytest.raises(AssertionError, match="does not refuse a second object under one key"):
            worker.start()
        assert worker.process.wait(60) == 2
