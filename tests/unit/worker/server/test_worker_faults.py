"""Workers that die, are told to stop, or meet another that took their job: every frame is told exactly once."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.archives import becomes, stored_log
from tests.support.cameras import CameraSimulator
from tests.support.processes import descendants
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, StartWorker, chunks_of, frames_of
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_archive import log
from videofleet_archive.store import FolderArchive

FRAMES = 120
"""So many that a worker is not done with them before a test that has to wait for its turn has seen the first ones."""


def _archived(archive: Path, uid: str) -> bytes:
    """The log as it lies in the archive."""
    return stored_log(FolderArchive(archive), f"default/{uid}/1/main")


async def _run_until_archived(worker: WorkerProcess, client: WorkerClient, uid: str, frames: int) -> None:
    await client.until(uid, {JobState.RUNNING})
    await becomes(lambda: len(frames_of(_archived(worker.archive, uid))) >= frames, f"{frames} frames are archived", 60)


@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_job_goes_on_after_the_last_sealed_frame(
    end: str, start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    first = start_worker()
    async with WorkerClient(first, keys.operator) as client:
        await client.assign(file_job(url, uid, maxFrames=FRAMES))
        await _run_until_archived(first, client, uid, 8)
        if end == "killed":
            first.kill()
        else:
            assert first.stop() == 0
    before = frames_of(_archived(first.archive, uid))
    assert before == list(range(len(before)))
    assert len(before) < FRAMES

    second = start_worker()
    async with WorkerClient(second, keys.operator) as client:
        await client.assign(file_job(url, uid, epoch=2, maxFrames=FRAMES))
        last = (await client.until(uid, TERMINAL))[-1]
        assert (last.state, last.progress.processed_frames) == (JobState.ENDED, FRAMES)
        data = await client.log(uid)
        assert data == _archived(second.archive, uid)
        assert frames_of(data) == list(range(FRAMES))
        assert [line for line in data.split(b"\n") if line.startswith(b": epoch")][1].startswith(b": epoch 2 by ")
        _check_growth(data)
        result = (await client.get(f"/v1/jobs/{uid}/results")).body
        assert (result["usage"]["processed_frames"], result["finish_reason"]) == (FRAMES, "max_frames")


def _check_growth(data: bytes) -> None:
    """Counters, times and new track ids never go back, over epochs too."""
    infos = [one["stream_info"] for one in chunks_of(data)]
    for field in ("frame_index", "decoded_frames", "dropped_frames", "elapsed_ms", "pts"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field
    before, _, after = data.partition(b": epoch 2 by ")
    assert min(_ids(after), default=0) > max(_ids(before), default=0)


def _ids(data: bytes) -> list[int]:
    found = (one for chunk in chunks_of(data) for result in chunk["delta"]["results"] for one in result["targets"])
    return [one["track_id"] for one in found if "track_id" in one]


async def test_a_worker_that_lost_its_job_to_another_ends_it_and_says_so(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    stale, fresh = start_worker(), start_worker()
    async with WorkerClient(stale, keys.operator) as old, WorkerClient(fresh, keys.operator) as new:
        # So slowly that it does not have all that the other is to tell before that one has begun.
        await old.assign(file_job(url, uid, sampling={"mode": "all", "speed": 0.5}))
        await _run_until_archived(stale, old, uid, 5)
        await new.assign(file_job(url, uid, epoch=2, maxFrames=60))
        await becomes(lambda: _says(stale, "superseded"), "the stale worker has noticed")
        assert (await new.until(uid, TERMINAL))[-1].state is JobState.ENDED
        assert frames_of(await new.log(uid)) == list(range(60))
        lost = (await old.until(uid, TERMINAL))[-1]
        assert (lost.state, lost.epoch, lost.code) == (JobState.SUPERSEDED, 1, None), "that is no failure"


async def test_a_camera_is_taken_over_by_another_worker(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    entry = file_job(simulator.rtsp("/cam1"), uid, singlePass=False)
    taking = entry.model_copy(update={"epoch": 2, "takes_over": True})
    first, second = start_worker(), start_worker()
    async with WorkerClient(first, keys.operator) as old, WorkerClient(second, keys.operator) as new:
        await old.assign(entry)
        await _run_until_archived(first, old, uid, 5)
        await new.assign(taking)
        report = (await new.until(uid, {JobState.RUNNING}))[-1]
        assert report.first_frame_time is not None
        owned = _archived(first.archive, uid)
        assert owned.count(b": epoch ") == 2, "who reports a first frame owns the results"
        assert (await old.until(uid, TERMINAL))[-1].state is JobState.SUPERSEDED
        told = frames_of(_archived(first.archive, uid))
        await becomes(lambda: len(frames_of(_archived(first.archive, uid))) > len(told), "results go on")
        await old.assign()
        await new.assign()
    _check_growth(_archived(first.archive, uid))
    times = [one["stream_info"]["capture_time"] for one in chunks_of(_archived(first.archive, uid))]
    assert times == sorted(set(times))


async def test_a_finished_run_has_ended_whoever_asks(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    worker = start_worker()
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(url, uid, maxFrames=4))
        await client.until(uid, {JobState.ENDED})
        data = _archived(worker.archive, uid)
        results = worker.archive / "default" / uid / "1" / "main" / "results.json"
        results.unlink()
        # The source is not even asked: nothing listens there.
        await client.assign(file_job("http://127.0.0.1:9/gone.mp4", uid, epoch=2, maxFrames=4))
        last = (await client.until(uid, TERMINAL))[-1]
        assert (last.state, last.epoch, last.first_frame) == (JobState.ENDED, 2, True)
        assert _archived(worker.archive, uid) == data
        assert json.loads(results.read_bytes())["usage"]["processed_frames"] == 4


async def test_a_single_pass_that_fails_in_the_middle_is_over_with_an_error(
    start_worker: StartWorker, keys: Keys, uid: str
) -> None:
    worker = start_worker()
    with CameraSimulator(["--cameras", "1"]) as camera:
        async with WorkerClient(worker, keys.operator) as client:
            await client.assign(file_job(camera.rtsp("/cam1"), uid, singlePass=True, reconnectWindow=0))
            await _run_until_archived(worker, client, uid, 2)
            camera.kill()
            last = (await client.until(uid, TERMINAL))[-1]
            assert (last.state, last.first_frame) == (JobState.FAILED, True)
            data = await client.log(uid)
            assert chunks_of(data)[-1]["finish_reason"] == "error"
            assert log.is_finished(data)
            assert f": error {last.code} ".encode() in data
            assert (await client.get(f"/v1/jobs/{uid}/results")).status == 404, "an endless source has no summary"
            # Asked again, under another epoch, it says the same.
            await client.assign(file_job("rtsp://127.0.0.1:9/cam1", uid, epoch=2, singlePass=True))
            again = (await client.until(uid, TERMINAL))[-1]
            assert (again.state, again.code, again.first_frame) == (JobState.FAILED, last.code, True)


async def test_draining_seals_everything_and_takes_nothing_new(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    worker = start_worker()
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(url, uid))
        await _run_until_archived(worker, client, uid, 3)
        answer = await client.request("POST", "/v1/drain")
        assert answer.status == 200
        assert [one["uid"] for one in answer.body["reports"]] == [uid]
        data = _archived(worker.archive, uid)
        told = answer.body["reports"][0]["progress"]["processedFrames"]
        assert len(frames_of(data)) >= told
        refused = await client.assign(file_job(url, uid), file_job(url, "another"))
        assert (refused.status, refused.body["code"]) == (503, "DRAINING")
        assert (await client.assign()).status == 200
        assert _archived(worker.archive, uid) == data


async def test_an_archive_that_is_away_for_a_while_loses_nothing(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    worker = start_worker()
    aside = worker.archive.with_name("aside")
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=FRAMES))
        await _run_until_archived(worker, client, uid, 3)
        # As when a volume is lost: the folder is gone, and nothing can be made in its place.
        worker.archive.rename(aside)
        worker.archive.write_text("no folder")
        errors = f'videofleet_archive_errors_total{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
        await becomes(lambda: worker.metric(errors) >= 2, "the worker has noticed")
        await becomes(lambda: worker.plain("/readyz")[0] == 503, "the worker is not ready")
        assert "archive: cannot" in worker.plain("/readyz")[1]
        assert worker.plain("/healthz")[0] == 200
        worker.archive.unlink()
        aside.rename(worker.archive)
        assert (await client.until(uid, TERMINAL))[-1].state is JobState.ENDED
        assert frames_of(await client.log(uid)) == list(range(FRAMES))
        await becomes(lambda: worker.plain("/readyz")[0] == 200, "the worker is ready again")


async def test_sigterm_ends_well_while_somebody_listens(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    worker = start_worker()
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(simulator.http("/vtest.mp4"), uid))
        await client.until(uid, {JobState.RUNNING})
        following = asyncio.create_task(client.log(uid))
        listening = asyncio.create_task(_listen(client))
        await becomes(lambda: len(frames_of(_archived(worker.archive, uid))) >= 2, "something is archived")
        assert await asyncio.to_thread(worker.stop) == 0
        # The reader has everything that was sealed, up to the last byte.
        assert await following == _archived(worker.archive, uid)
        await asyncio.wait([listening])
    assert not any(record["level"] == "ERROR" for record in worker.records())


async def _listen(client: WorkerClient) -> None:
    async for _ in client.events():
        pass


def test_a_worker_without_certificates_says_which_file_is_missing(start_worker: StartWorker, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"tls\.crt"):
        start_worker(tls_dir=str(tmp_path))


def test_wrong_settings_are_all_named(start_worker: StartWorker) -> None:
    with pytest.raises(AssertionError) as refused:
        start_worker(capacity="many", execution_provider="tpu")
    for word in ("VIDEOFLEET_CAPACITY", "many", "VIDEOFLEET_EXECUTION_PROVIDER", "tpu"):
        assert word in str(refused.value)


async def test_no_process_is_left_after_a_crash(
    start_worker: StartWorker, keys: Keys, simulator: CameraSimulator, uid: str
) -> None:
    worker = start_worker()
    async with WorkerClient(worker, keys.operator) as client:
        await client.assign(file_job(simulator.http("/vtest.mp4"), uid))
        await client.until(uid, {JobState.RUNNING})
        children = descendants(worker.process.pid)
        assert len(children) >= 2, "the fork server and one decoder"
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
    await becomes(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "its children are gone")


def _says(worker: WorkerProcess, words: str) -> bool:
    return any(words in record["message"] for record in worker.records())
