"""A worker whose GPU fails while it runs: the error is put in where the session is called, all else is real."""

from pathlib import Path

from tests.support.cameras import CameraSimulator
from tests.support.domain import pool
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, frames_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, JobState, WorkerInfo
from videofleet_operator.domain.hints import fell_back

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


async def test_its_streams_go_on_in_another_process_which_says_what_it_runs_on(
    keys: Keys, simulator: CameraSimulator, uid: str, tmp_path: Path
) -> None:
    url, once = simulator.http("/vtest.mp4"), f"{uid}-once"
    with WorkerProcess(tmp_path / "archive", keys.server, program=("-c", _PROGRAM)) as worker:
        async with WorkerClient(worker, keys.operator) as client:
            await client.assign(file_job(url, uid, singlePass=False), file_job(url, once, maxFrames=60))
            *_, report = await client.until(uid, {JobState.FAILED})
        assert report.code is ErrorCode.INTERNAL
        assert report.message is not None
        assert "CUDA failure 700" in report.message
        assert worker.process.wait(60) == 3
        assert "the GPU is lost to this process: CUDA failure 700" in worker.log()
        told = {one["uid"]: one["message"] for one in worker.records() if one["level"] == "WARNING" and "uid" in one}
        assert told[once].startswith("left to another worker"), "its one pass is not over"
    # The kubelet starts another process, which finds no GPU any more: here there is none.
    with WorkerProcess(tmp_path / "archive", keys.server, "another", execution_provider="cuda") as worker:
        why = "no NVIDIA GPU is visible here (NVML Shared Library Not Found); using the CPU"
        assert worker.metric(f'videofleet_execution_provider_info{{fallback_reason="{why}",provider="cpu"}}') == 1
        assert worker.metric("videofleet_worker_capacity_found") >= 1
        async with WorkerClient(worker, keys.operator) as client:
            info = WorkerInfo.model_validate((await client.get("/v1/info")).body)
            assert (info.provider, info.fallback_reason) == ("cpu", why)
            assert info.hint is not None
            assert fell_back(pool(accelerator={"type": "nvidia"}), info), "which the pool's status tells"
            await client.assign(file_job(url, once, epoch=2, maxFrames=60))
            assert (await client.until(once, TERMINAL))[-1].state is JobState.ENDED
            assert frames_of(await client.log(once)) == list(range(60)), "each frame once, those from before too"
