"""Live sources on a real worker: pictures for viewers, losses, limits of the archive."""

import asyncio
import functools
import io

import aiohttp
import pytest
from PIL import Image

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, chunks_of, frames_of
from videofleet_api.codes import SourceHealth
from videofleet_api.protocol import Entry, JobReport, JobState
from videofleet_worker.decode.capture import MOST_AHEAD, MOST_DELAY


async def test_viewers_see_annotated_pictures_only_while_they_watch(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam1"), uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    viewers = f'videofleet_live_viewers{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
    url = client.url(f"/v1/jobs/{uid}/live")
    async with asyncio.timeout(60), client.session.ws_connect(url, **client.tls) as watching:
        pictures = [await watching.receive_bytes() for _ in range(3)]
        assert shared_worker.metric(viewers) == 1
    assert all(Image.open(io.BytesIO(picture)).size == (768, 576) for picture in pictures)
    assert len(set(pictures)) == 3
    await becomes(lambda: shared_worker.metric(viewers) == 0, "nobody watches any more")
    async with asyncio.timeout(60), client.session.ws_connect(url, **client.tls) as watching:
        await watching.receive_bytes()
        await client.assign()
        async for _ in watching:
            pass
        assert watching.close_code == 1001


async def test_a_camera_can_be_watched_by_whoever_takes_moving_jpeg(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam1"), uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    url = client.url(f"/v1/jobs/{uid}/live.mjpg")
    viewers = f'videofleet_live_viewers{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
    async with asyncio.timeout(60), client.session.get(url, **client.tls) as response:
        assert response.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        parts = aiohttp.MultipartReader.from_response(response)
        pictures = []
        for _ in range(3):
            part = await parts.next()
            assert isinstance(part, aiohttp.BodyPartReader)
            assert part.headers["Content-Type"] == "image/jpeg"
            pictures.append(bytes(await part.read()))
        assert shared_worker.metric(viewers) == 1
    assert all(Image.open(io.BytesIO(picture)).size == (768, 576) for picture in pictures)
    assert len(set(pictures)) == 3
    await becomes(lambda: shared_worker.metric(viewers) == 0, "nobody watches any more")
    async with asyncio.timeout(60), client.session.get(url, **client.tls) as response:
        await response.content.readany()
        await client.assign()
        async for _ in response.content.iter_any():
            pass
    unknown = await client.get("/v1/jobs/nobody/live.mjpg")
    assert (unknown.status, unknown.body["code"]) == (404, "UNKNOWN_JOB")


async def test_a_camera_that_comes_back_goes_on_in_its_epoch(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam2"), uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    try:
        stop = functools.partial(simulator.fault, "/cam2", "stop")
        lost = (await client.until(uid, {JobState.RECONNECTING}, when_listening=stop))[-1]
        assert lost.code is not None
        assert lost.message is not None
        assert lost.first_frame
        assert "attempt 1" in lost.message
    finally:
        simulator.fault("/cam2", "none")
    back = (await client.until(uid, {JobState.RUNNING}))[-1]
    assert (back.epoch, back.code) == (1, None)
    snapshot = await client.get(f"/v1/jobs/{uid}/snapshot.jpg")
    assert snapshot.status == 200


async def test_what_frames_are_dated_by_is_told(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    entry = file_job(simulator.rtsp("/cam1"), uid, singlePass=False)
    await client.assign(entry)
    labels = f'name="{entry.name}",namespace="default",uid="{entry.uid}"'
    clock = f'videofleet_capture_clock_info{{clock="camera",{labels}}}'
    await becomes(lambda: shared_worker.metric(clock) == 1, "the camera's first report has come")
    delay = shared_worker.metric(f"videofleet_capture_delay_seconds{{{labels}}}")
    assert delay != 0
    assert -MOST_AHEAD <= delay <= MOST_DELAY


async def test_cameras_that_freeze_or_go_black_are_told_of_and_go_on(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    faults = {"/cam1": "freeze", "/cam2": "black"}
    frozen, black = (file_job(simulator.rtsp(path), f"{uid}{path[1:]}", singlePass=False) for path in faults)
    await client.assign(frozen, black)

    def metric(entry: Entry, reason: SourceHealth) -> float | None:
        labels = f'name="{entry.name}",namespace="default",reason="{reason}",uid="{entry.uid}"'
        return shared_worker.metric(f"videofleet_source_healthy{{{labels}}}")

    async def are(one: SourceHealth, other: SourceHealth) -> list[JobReport]:
        told = await asyncio.gather(
            client.until_told(frozen.uid, lambda report: report.health is one),
            client.until_told(black.uid, lambda report: report.health is other),
        )
        value = 1 if one is SourceHealth.HEALTHY else 0
        assert (metric(frozen, one), metric(black, other)) == (value, value)
        return told

    try:
        await are(SourceHealth.HEALTHY, SourceHealth.HEALTHY)
        for path, fault in faults.items():
            simulator.fault(path, fault)
        for report in await are(SourceHealth.FROZEN, SourceHealth.BLACK):
            assert (report.state, report.code) == (JobState.RUNNING, None)
            assert report.health_message
    finally:
        simulator.fault("*", "none")
    await are(SourceHealth.HEALTHY, SourceHealth.HEALTHY)


async def test_a_source_that_delivers_far_fewer_frames_is_told_of_and_goes_on(
    client: WorkerClient, shared_worker: WorkerProcess, uid: str
) -> None:
    entry = file_job("test://pattern?width=64&height=48&fps=10&fail=slow@100", uid, singlePass=False)
    await client.assign(entry)
    report = await client.until_told(uid, lambda one: one.health is SourceHealth.LOW_FPS)
    assert (report.state, report.code) == (JobState.RUNNING, None)
    assert report.health_message
    labels = f'name="{entry.name}",namespace="default",reason="LowFps",uid="{entry.uid}"'
    assert f"videofleet_source_healthy{{{labels}}} 0.0" in shared_worker.plain("/metrics")[1]
    seen = report.progress.processed_frames
    await client.until_told(uid, lambda one: one.state is JobState.RUNNING and one.progress.processed_frames > seen)


@pytest.mark.parametrize("looks_on", [False, True], ids=["nobody listens", "a reader listens"])
async def test_while_no_operator_listens_a_lost_camera_is_tried_without_limit(
    client: WorkerClient, shared_worker: WorkerProcess, keys: Keys, simulator: CameraSimulator, uid: str, looks_on: bool
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam2"), uid, singlePass=False, reconnectWindow=1))
    await client.until(uid, {JobState.RUNNING})
    try:
        async with WorkerClient(shared_worker, keys.reader) as reader:
            looking = asyncio.create_task(reader.until(uid, {JobState.FAILED})) if looks_on else None
            simulator.fault("/cam2", "stop")
            reconnecting = 'videofleet_streams{state="reconnecting"}'
            await becomes(lambda: shared_worker.metric(reconnecting) == 1, "the loss is noticed")
            # Three times the window, in which an operator would have been told that it failed.
            await asyncio.sleep(3)
            if looking is not None:
                assert not looking.done()
                looking.cancel()
        first, *later = await client.until(uid, {JobState.FAILED})
        assert first.state is JobState.RECONNECTING
        assert later, "an operator that comes back takes over"
    finally:
        simulator.fault("/cam2", "none")


async def test_a_live_log_is_read_from_now_on_and_goes_on_over_epochs(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.rtsp("/cam1")
    for epoch in (1, 2):
        await client.assign(file_job(url, uid, epoch=epoch, singlePass=False))
        await client.until(uid, {JobState.RUNNING})
        await _first_chunk(client, uid)
    now = await _first_chunk(client, uid)
    whole = b""
    async with asyncio.timeout(60):
        async for data in client.chunks(uid, "?offset=oldest"):
            whole += data
            if now in whole:
                break
    frames = frames_of(whole)
    assert frames == sorted(set(frames))
    infos = [one["stream_info"] for one in chunks_of(whole)]
    assert infos[0]["total_frames"] is None
    for field in ("pts", "capture_time", "decoded_frames"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field
    assert whole.count(b": epoch ") == 2


async def test_a_live_playlist_begins_anew_in_every_epoch(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    # Only its opening tells that it is live, and its frames are counted from 0 again.
    url = simulator.http("/live/live.m3u8")
    seen = []
    for epoch in (1, 2):
        await client.assign(file_job(url, uid, epoch=epoch, singlePass=False))
        await client.until(uid, {JobState.RUNNING})
        seen += chunks_of(await _first_chunk(client, uid))
    infos = [one["stream_info"] for one in seen]
    assert {info["total_frames"] for info in infos} == {None}
    assert [info["frame_index"] for info in infos] == sorted({info["frame_index"] for info in infos})


async def _first_chunk(client: WorkerClient, uid: str) -> bytes:
    """The first bytes that come when nothing is said about where to begin."""
    async with asyncio.timeout(60):
        async for data in client.chunks(uid):
            return data
    raise AssertionError("the log ended")
