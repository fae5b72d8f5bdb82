"""Recorded sources on a real worker: results, pictures, ends, refusals."""

import asyncio
import io
import itertools
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.archives import becomes
from tests.support.cameras import CLIP, CameraSimulator
from tests.support.pictures import pictures
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import chunks_of, frames_of
from videofleet_api.codes import ErrorCode
from videofleet_api.finalize import Finalize, RunEnd
from videofleet_api.names import archive_prefix
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_api.results import Chunk, RunResult
from videofleet_archive import log
from videofleet_archive.acquire import look
from videofleet_archive.store import FolderArchive
from videofleet_worker.outputs.shots import area_around

PEOPLE = [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}, {"model": "track"}]


@pytest.mark.acceptance("V5", "V35", "V55", "V75", "V76", "A18")
async def test_people_are_detected_tracked_and_told(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    listening = asyncio.Event()
    following = asyncio.create_task(client.until(uid, TERMINAL, when_listening=listening.set))
    await listening.wait()
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=25))
    reports = await following
    states = [report.state for report in reports]
    order = [JobState.PREPARING, JobState.RUNNING, JobState.ENDED]
    assert JobState.RUNNING in states
    assert states == sorted(states, key=order.index)
    last = reports[-1]
    assert (last.state, last.first_frame, last.code) == (JobState.ENDED, True, None)
    assert last.first_frame_time is not None
    assert last.progress.last_frame_time is not None
    assert last.progress.last_frame_time > last.first_frame_time
    assert (last.progress.processed_frames, last.progress.total_frames, last.progress.source_fps) == (25, 795, 10.0)

    data = await client.log(uid)
    chunks = [Chunk.model_validate(one) for one in chunks_of(data)]
    assert frames_of(data) == list(range(25))
    assert chunks[-1].finish_reason == "max_frames"
    assert chunks[-1].usage is not None
    assert log.is_finished(data)
    targets = chunks[20].delta.results[0].targets
    assert len(targets) >= 3
    assert {one.class_ for one in targets} == {"person"}
    assert all(one.roi.left + one.roi.width <= 768 and one.roi.top + one.roi.height <= 576 for one in targets)

    result = RunResult.model_validate((await client.get(f"/v1/jobs/{uid}/results")).body)
    assert (result.finish_reason, result.usage.processed_frames, result.model) == ("max_frames", 25, "nanodet-m-416")
    assert len([one for one in result.tracks if one.frames_seen >= 20]) >= 3
    folder = shared_worker.archive / "default" / uid / "1" / "main"
    assert RunResult.model_validate_json((folder / "results.json").read_bytes()) == result

    answer = await client.get(f"/v1/jobs/{uid}/snapshot.jpg")
    assert Image.open(io.BytesIO(answer.body)).size == (768, 576)
    assert (folder / "snapshot.jpg").read_bytes() == answer.body

    sample = f'{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
    assert shared_worker.metric(f"videofleet_frames_processed_total{sample}") == 25
    assert shared_worker.metric(f"videofleet_archive_bytes_total{sample}") > 1000
    assert shared_worker.metric('videofleet_streams{state="ended"}') == 1


async def test_every_track_has_its_best_picture_cut_from_the_frame_that_shows_it_best(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    # Slowly, so that it still runs when it is asked for tracks that have not ended.
    sampling = {"mode": "interval", "value": 1, "speed": 0.2}
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=25, sampling=sampling))
    await client.until(uid, {JobState.RUNNING})
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not seen:
            listed = (await client.get(f"/v1/jobs/{uid}/shots")).body["shots"]
            seen = [one for one in listed if not one["ended"]]
            await asyncio.sleep(0.05)
    assert all(one["class"] == "person" and one["quality"] > 0 for one in seen)

    await client.until(uid, {JobState.ENDED})
    tracks = (await client.get(f"/v1/jobs/{uid}/results")).body["tracks"]
    assert len(tracks) >= 3
    folder = shared_worker.archive / "default" / uid / "1" / "main"
    frames = pictures(CLIP, 25)
    chunks = chunks_of(await client.log(uid))
    for track in tracks:
        assert track["best_shot"] == f"shots/{track['track_id']}.jpg"
        jpeg = (folder / track["best_shot"]).read_bytes()
        assert (await client.get(f"/v1/jobs/{uid}/shots/{track['track_id']}.jpg")).body == jpeg
        shot = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
        assert any(_shows(shot, frames[index], roi) for index, roi in _places(chunks, track["track_id"]))
    assert (await client.get(f"/v1/jobs/{uid}/shots/999999.jpg")).body["code"] == "NO_PICTURE"
    assert (await client.get(f"/v1/jobs/{uid}/shots/x.jpg")).body["code"] == "BAD_REQUEST"


def _places(chunks: list[dict[str, Any]], track: int) -> list[tuple[int, dict[str, int]]]:
    """Frame and box of every sighting of a track."""
    return [
        (chunk["stream_info"]["frame_index"], target["roi"])
        for chunk in chunks
        for result in chunk["delta"]["results"]
        for target in result["targets"]
        if target.get("track_id") == track
    ]


def _shows(shot: npt.NDArray[np.int_], frame: npt.NDArray[np.uint8], roi: dict[str, int]) -> bool:
    """Whether the picture is the frame around a box, at full resolution."""
    box = (roi["left"], roi["top"], roi["left"] + roi["width"], roi["top"] + roi["height"])
    left, top, right, bottom = area_around(box, (frame.shape[1], frame.shape[0]))
    # The log has whole pixels: the corner may be a chroma sample off.
    for x, y in itertools.product((left - 2, left, left + 2), (top - 2, top, top + 2)):
        part = frame[max(0, y) : y + shot.shape[0], max(0, x) : x + shot.shape[1]]
        same_size = abs(shot.shape[0] - (bottom - top)) <= 3 and abs(shot.shape[1] - (right - left)) <= 3
        if same_size and part.shape == shot.shape and np.abs(part - shot).mean() < 4:
            return True
    return False


async def test_results_can_be_read_from_any_offset_and_while_they_come(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=15))
    await client.until(uid, {JobState.RUNNING})
    # From the beginning on, while the job runs, to its end.
    whole = await client.log(uid)
    assert frames_of(whole) == list(range(15))
    for offset in (0, 1, 100, len(whole) // 2, len(whole) - 1, len(whole)):
        assert await client.log(uid, f"?offset={offset}") == whole[offset:]
    middle = int(whole.split(b"id: ")[7][:16])
    times = [one["stream_info"]["capture_time"] for one in chunks_of(whole)]
    later = await client.log(uid, f"?from={times[6]}")
    assert later
    assert whole.endswith(later)
    assert [one["stream_info"]["capture_time"] for one in chunks_of(later)] == times[6:]
    assert await client.log(uid, "?from=2099-01-01T00:00:00Z") == b""
    assert (await client.get(f"/v1/jobs/{uid}/chunks?from=yesterday")).status == 400
    resumed = await client.request("GET", f"/v1/jobs/{uid}/chunks", headers={"Last-Event-ID": f"{middle:016d}"})
    assert resumed.body == whole[middle:]
    beyond = await client.get(f"/v1/jobs/{uid}/chunks?offset={len(whole) + 1}")
    assert (beyond.status, beyond.body["end"]) == (416, len(whole))
    wrong = await client.get(f"/v1/jobs/{uid}/chunks?offset=-1")
    assert (wrong.status, wrong.body["code"]) == (400, "BAD_REQUEST")


@pytest.mark.acceptance("V57", "A14")
async def test_a_whole_file_ends_by_itself(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    sampling = {"mode": "interval", "value": 100, "speed": 40}
    await client.assign(file_job(simulator.http("/vtest-384x288.mp4"), uid, sampling=sampling))
    await client.until(uid, {JobState.ENDED})
    data = await client.log(uid)
    assert frames_of(data) == list(range(0, 795, 100))
    last = chunks_of(data)[-1]
    assert last["finish_reason"] == "stop"
    assert (last["stream_info"]["decoded_frames"], last["stream_info"]["dropped_frames"]) == (795, 787)
    assert last["stream_info"]["elapsed_ms"] >= 70_000 / 40, "it was no faster than it was to be"


async def test_several_analytics_share_one_decoding_and_have_their_own_results(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    analytics = [
        {"name": "people", "steps": PEOPLE},
        {"name": "all", "steps": [{"model": "detect", "parameters": {"confidence": 0.2}}]},
    ]
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=6, analytics=analytics))
    await client.until(uid, {JobState.ENDED})
    people, everything = [await client.log(uid, f"?analytics={name}") for name in ("people", "all")]
    assert frames_of(people) == frames_of(everything) == list(range(6))
    assert all("track_id" not in one for one in _targets(everything))
    assert len(_targets(everything)) > len(_targets(people)) > 0
    tracks = [
        (await client.get(f"/v1/jobs/{uid}/results?analytics={name}")).body["tracks"] for name in ("people", "all")
    ]
    assert len(tracks[0]) > 0
    assert tracks[1] == []
    unknown = await client.get(f"/v1/jobs/{uid}/chunks?analytics=faces")
    assert (unknown.status, unknown.body["code"]) == (404, "UNKNOWN_ANALYTICS")
    assert "people, all" in unknown.body["message"]


@pytest.mark.parametrize(
    ("steps", "code", "words"),
    [
        ([{"model": "yolo"}], ErrorCode.UNKNOWN_MODEL, ["yolo", "nanodet-m-416"]),
        ([{"model": "detect", "parameters": {"classes": ["persn"]}}], ErrorCode.BAD_PARAMETER, ["persn", "person"]),
    ],
)
async def test_what_cannot_run_is_refused(
    steps: list[object], code: ErrorCode, words: list[str], client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    analytics = [{"name": "main", "steps": steps}]
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, analytics=analytics))
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.code, last.first_frame) == (JobState.REFUSED, code, False)
    for word in words:
        assert word in (last.message or "")


async def test_a_source_that_is_not_there_fails_before_the_first_frame(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/no-such-clip.mp4"), uid))
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.code, last.first_frame) == (JobState.FAILED, ErrorCode.NOT_FOUND, False)
    # Another attempt may follow: nothing is in the log, and there are no results.
    assert await client.log(uid) == b""
    assert (await client.get(f"/v1/jobs/{uid}/results")).status == 404
    assert not (shared_worker.archive / "default" / uid / "1" / "main" / "results.json").exists()


async def test_results_without_an_archive_go_to_those_who_read_along(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=5, archiveEnabled=False))
    await client.until(uid, {JobState.ENDED})
    data = await client.log(uid)
    assert frames_of(data) == list(range(5))
    assert (await client.get(f"/v1/jobs/{uid}/results")).status == 200
    assert not (shared_worker.archive / "default" / uid).exists()


async def test_credentials_are_in_no_log_and_no_event(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    source = {"url": simulator.http("/no-such.mp4?token=t0pSecret"), "username": "r00tuser", "password": "pa55/word@x"}
    await client.assign(file_job("", uid, source=source))
    reports = await client.until(uid, TERMINAL)
    told = json.dumps([report.wire() for report in reports]) + shared_worker.log() + shared_worker.plain("/metrics")[1]
    for secret in ("t0pSecret", "r00tuser", "pa55/word@x", "pa55%2Fword%40x"):
        assert secret not in told


def _targets(data: bytes) -> list[dict[str, object]]:
    return [one for chunk in chunks_of(data) for result in chunk["delta"]["results"] for one in result["targets"]]


async def test_a_job_that_is_taken_away_for_good_ends_behind_its_last_result(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    """What is not sealed yet is sealed first; then results go, where that was noted."""
    store, prefix = FolderArchive(shared_worker.archive), archive_prefix("default", uid, 1, "main")
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, archiveDeletes=True), fleet=uid)
    told = await client.until_told(uid, lambda report: report.progress.processed_frames >= 3)
    notes = (await client.get(f"/v1/notes?fleet={uid}")).body
    job = {"namespace": "default", "uid": uid}
    assert notes == {"runs": [job | {"run": 1}], "deleted": [job], "untold": []}

    ended = Finalize(key="1", uid=uid, namespace="default", ends=[RunEnd(run=1, reason="cancelled")])
    await client.assign(finalize=[ended], fleet=uid)
    await becomes(lambda: look(store, prefix).ending is not None, "the log has its end", 60)
    ending = look(store, prefix).ending
    assert ending is not None
    assert ending.reason == "cancelled"
    assert ending.usage.processed_frames >= told.progress.processed_frames
    gone = ended.model_copy(update={"key": "2", "gone": True})
    await client.assign(finalize=[ended, gone], fleet=uid)
    await becomes(lambda: not store.listing(f"default/{uid}"), "the results have gone", 60)
    await client.assign()
    assert (await client.get("/v1/notes")).status == 400
