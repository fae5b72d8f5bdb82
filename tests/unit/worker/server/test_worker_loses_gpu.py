"""A worker whose GPU fails while it runs: the error is put in where the session is called, all else is real."""

from pathlib import Path

from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobState

# The worker, with an error from its twentieth batch on.
_PROGRAM = """
import itertools
from videofleet_worker.models.runner import Runner
calls, run = itertools.count(), Runner.run
def fails_later(self, batch):
    if next(calls) >= 20:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0")
    return run(self, batch)
Runner.run = fails_later
from videofleet_worker.__main__ import main
raise SystemExit(main())
"""


async def test_its_streams_are_told_and_it_ends_so_that_another_process_takes_its_place(
    keys: Keys, simulator: CameraSimulator, uid: str, tmp_path: Path
) -> None:
    with WorkerProcess(tmp_path / "archive", keys.server, program=("-c", _PROGRAM)) as worker:
        async with WorkerClient(worker, keys.operator) as client:
            await client.assign(file_job(simulator.http("/vtest.mp4"), uid))
            *_, report = await client.until(uid, {JobState.FAILED})
        assert report.code is ErrorCode.INTERNAL
        assert report.message is not None
        assert "CUDA failure 700" in report.message
        assert worker.process.wait(60) == 3
        assert "the GPU is lost to this process: CUDA failure 700" in worker.log()
