"""A worker whose archive is a bucket."""

from pathlib import Path

import pytest

from tests.support.archives import becomes
from tests.support.buckets import SECRET, Fault, FaultyProxy, archive_at, bucket_server, credentials
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
            job = file_job(simulator.http("/vtest.mp4"), uid, maxFrames=12)
            await client.assign(job.model_copy(update={"name": f"cam-{SECRET}"}))
            last = (await client.until(uid, TERMINAL))[-1]
            assert last.state is JobState.ENDED
            told = await client.log(uid)
        assert frames_of(told) == list(range(12))
        assert "cam-***" in worker.log(), "the log hides the credentials of the archive"
        assert SECRET not in worker.log()
        archive, prefix = archive_at(server, secret), f"default/{uid}/1/main"
        assert check_log(archive, prefix) == []
        assert archive.read(results_key(prefix)) is not None


async def test_a_store_that_throttles_and_then_knows_the_keys_no_more_holds_results_back_and_loses_none(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, tmp_path: Path, uid: str
) -> None:
    with bucket_server() as server, FaultyProxy(server) as proxy:
        secret = credentials(tmp_path / "credentials")
        worker = start_worker(
            ARCHIVE="s3://results", archive_endpoint=proxy.address.url, archive_credentials=str(secret)
        )
        unkept, url = f"{uid}-b", simulator.http("/vtest.mp4")

        def counted(what: str, uid: str) -> float:
            return worker.metric(f'videofleet_{what}_total{{name="name-of-{uid}",namespace="default",uid="{uid}"}}')

        async def refused(fault: Fault) -> None:
            failed, seen = counted("archive_errors", uid), counted("frames_processed", unkept)
            proxy.plan = lambda request: fault if request.method == "PUT" else None
            await becomes(lambda: counted("archive_errors", uid) >= failed + 2, "it is noticed", 60)
            await becomes(lambda: counted("frames_processed", unkept) > seen + 3, "who keeps nothing goes on", 60)
            proxy.plan = lambda request: None

        async with WorkerClient(worker, keys.operator) as client:
            await client.assign(file_job(url, uid, maxFrames=80), file_job(url, unkept, archiveEnabled=False))
            await becomes(lambda: counted("frames_processed", uid) > 3, "it runs", 60)
            await refused(Fault.SLOW_DOWN_503)
            await refused(Fault.EXPIRED_403)
            last = (await client.until(uid, TERMINAL))[-1]
            assert (last.state, last.epoch) == (JobState.ENDED, 1)
            assert frames_of(await client.log(uid)) == list(range(80))
        assert check_log(archive_at(server, secret, prefix=""), f"default/{uid}/1/main") == []


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
