"""Streams that go wrong beside one that does not, on one worker: the other one's results are what they always are."""

import re
from typing import Any

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.processes import descendants
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, StartWorker, chunks_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_worker.decode import landlock

FAULTS = {
    "crash": (ErrorCode.INTERNAL, "decoder crashed (SIGSEGV)"),
    "leak": (ErrorCode.INTERNAL, "memory"),
    "fork": (ErrorCode.INTERNAL, "the decoder failed (PermissionError)"),
    "threads": (ErrorCode.INTERNAL, "the decoder failed (RuntimeError)"),
}


def told(data: bytes) -> list[Any]:
    """What the chunks of a log say of each frame: objects and their ids."""
    return [(one["stream_info"]["frame_index"], one["delta"]["results"]) for one in chunks_of(data)[:-1]]


async def test_a_neighbour_notices_nothing(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    worker = start_worker(capacity="8")
    url = simulator.http("/vtest.mp4")
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(url, uid, maxFrames=15))
        assert (await client.until(uid, TERMINAL))[-1].state is JobState.ENDED
        undisturbed = told(await client.log(uid))
        await client.assign()
        before = descendants(worker.process.pid)

        wrong = [
            file_job(f"test://pattern?width=320&height=240&frames=9000&fail={fault}@2", f"{uid}-{fault}")
            for fault in FAULTS
        ]
        await client.assign(file_job(url, f"{uid}-beside", maxFrames=15), *wrong)
        assert (await client.until(f"{uid}-beside", TERMINAL))[-1].state is JobState.ENDED
        assert told(await client.log(f"{uid}-beside")) == undisturbed
        for fault, (code, said) in FAULTS.items():
            last = (await client.until(f"{uid}-{fault}", TERMINAL))[-1]
            assert (last.state, last.code, last.first_frame) == (JobState.FAILED, code, True), fault
            assert said in (last.message or ""), fault
        await becomes(lambda: descendants(worker.process.pid) == before, "no decoder is left")


async def test_what_confines_decoders_is_told(client: WorkerClient, shared_worker: WorkerProcess) -> None:
    info = (await client.get("/v1/info")).body
    expected = {"decodingProcess": True, "seccomp": True, "landlock": landlock.version() > 0}
    assert info["isolation"] == expected
    (ready,) = [record for record in shared_worker.records() if record["message"] == "ready"]
    assert re.findall(r"\w+", str(ready["isolation"])) == sorted(name for name, there in expected.items() if there)
    assert ready["decoder_memory_mib"] == info["decoderMemoryBytes"] // 2**20 > 0
