"""Decoders of a real worker that are lost beside others: the job goes on in its epoch, and nobody else notices."""

import asyncio
import functools
import os
import signal
from typing import Any

import pytest

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.processes import children
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, StartWorker, chunks_of, frames_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_worker.sources.errors import Lost

DETECTED = [{"model": "detect", "parameters": {"classes": ["person"]}}]
TRACKED = [{"name": "main", "steps": [*DETECTED, {"model": "track", "parameters": {"lostSeconds": 10}}]}]


def decoders(worker: WorkerProcess) -> set[int]:
    """The decoding children: those of the fork server, which is the worker's only child."""
    (server,) = children(worker.process.pid)
    return set(children(server))


def rings(worker: WorkerProcess) -> int:
    """Memories for frames that the worker holds."""
    folder = f"/proc/{worker.process.pid}/fd"
    return sum(_target(f"{folder}/{name}").startswith("/memfd:videofleet-frames") for name in os.listdir(folder))


def _target(descriptor: str) -> str:
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:
        # Closed since it was listed.
        return ""


def lost(worker: WorkerProcess, uid: str, how: Lost) -> float:
    """Decoders that a job has lost, as the metrics tell."""
    labels = f'how="{how}",name="name-of-{uid}",namespace="default",uid="{uid}"'
    return worker.metric(f"videofleet_decoders_lost_total{{{labels}}}")


async def test_a_camera_whose_decoder_is_killed_goes_on_in_its_epoch_with_its_tracks(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    worker = start_worker()
    hit = file_job(simulator.rtsp("/cam1"), uid, singlePass=False, analytics=TRACKED)
    other = file_job(simulator.rtsp("/cam2"), f"{uid}-b", singlePass=False, analytics=TRACKED)
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(hit)
        await client.until(hit.uid, {JobState.RUNNING})
        (victim,) = decoders(worker)
        await client.assign(hit, other)
        await client.until(other.uid, {JobState.RUNNING})
        before = await _until_tracked(client, hit.uid)
        neighbour = asyncio.create_task(client.until(other.uid, {JobState.RECONNECTING, *TERMINAL}, 3600))
        crash = functools.partial(os.kill, victim, signal.SIGSEGV)
        report = (await client.until(hit.uid, {JobState.RECONNECTING}, when_listening=crash))[-1]
        assert (report.epoch, report.code, report.first_frame) == (1, ErrorCode.INTERNAL, True)
        assert report.message == "decoder crashed (SIGSEGV); attempt 1 at once"
        back = (await client.until(hit.uid, {JobState.RUNNING}))[-1]
        assert (back.epoch, back.code) == (1, None)
        after = await _until_tracked(client, hit.uid, later_than=before)
        assert not neighbour.done()
        await becomes(lambda: rings(worker) == 2, "the memory of the connection that was lost is given back")
        neighbour.cancel()
    assert lost(worker, hit.uid, Lost.CRASH) == 1
    assert lost(worker, other.uid, Lost.CRASH) == 0
    assert _ids(before) & _ids(after), "who is still there has the same number"
    infos = [one["stream_info"] for one in [*before, *after]]
    for field in ("frame_index", "pts", "capture_time", "decoded_frames"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field


FRAMES = 200
"""So many that a fast machine, too, is not done with them before progress is told, two seconds after the first."""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_a_file_whose_decoder_is_killed_has_each_frame_once(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str, number: signal.Signals
) -> None:
    worker = start_worker()
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=FRAMES))
        await client.until_told(
            uid, lambda report: report.progress is not None and report.progress.processed_frames > 5
        )
        (victim,) = decoders(worker)
        os.kill(victim, number)
        last = (await client.until(uid, TERMINAL))[-1]
        data = await client.log(uid)
    assert (last.state, last.epoch) == (JobState.ENDED, 1)
    assert frames_of(data) == list(range(FRAMES))
    assert data.count(b": epoch ") == 1
    assert last.progress is not None
    assert last.progress.processed_frames == FRAMES
    assert lost(worker, uid, Lost.CRASH) == 1
    # What had been decoded ahead counts once: a ring of frames, and what was about to be put there.
    assert last.progress.decoded_frames <= FRAMES + 20


async def _until_tracked(
    client: WorkerClient, uid: str, later_than: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Chunks as they come until three have tracks; only those after the last of others."""
    first = later_than[-1]["stream_info"]["frame_index"] + 1 if later_than else 0
    data, found = b"", []
    async with asyncio.timeout(60):
        async for part in client.chunks(uid, "" if later_than is None else "?offset=oldest"):
            data += part
            found = [
                one for one in chunks_of(data[: data.rfind(b"\n\n") + 2]) if first <= one["stream_info"]["frame_index"]
            ]
            if sum(bool(_ids([one])) for one in found) >= 3:
                return found
    raise AssertionError("the log ended")


def _ids(chunks: list[dict[str, Any]]) -> set[int]:
    found = (one for chunk in chunks for result in chunk["delta"]["results"] for one in result["targets"])
    return {one["track_id"] for one in found if "track_id" in one}
