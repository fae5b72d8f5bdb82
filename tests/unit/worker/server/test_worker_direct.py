"""Sources watched as they are, on a real worker: a camera over RTSP, by WebSocket."""

import asyncio
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from tests.support.archives import becomes
from tests.support.cameras import CLIP, CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.decode.webserver import Page, serving
from videofleet_api.protocol import TERMINAL, Entry, JobState

ROOM = [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]


def pictures(data: bytes) -> list[bytes]:
    """Every picture that a player shows."""
    with av.open(io.BytesIO(data)) as player:
        return [frame.to_ndarray(format="yuv420p").tobytes() for frame in player.decode(video=0)]


class Watching:
    """One who watches a job directly."""

    def __init__(self, client: WorkerClient, uid: str) -> None:
        self._connecting = client.session.ws_connect(client.url(f"/v1/jobs/{uid}/direct"), **client.tls)

    async def __aenter__(self) -> "Watching":
        self.socket = await self._connecting
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.socket.close()

    async def see(self, count: int) -> tuple[Any, bytes]:
        """The announcement, and the head with so many pictures."""
        announced = await self.socket.receive_json()
        return announced, b"".join([await self.socket.receive_bytes() for _ in range(1 + count)])


async def test_several_watch_a_camera_and_see_its_very_pictures(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam1"), uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    viewers = f'videofleet_direct_viewers{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
    async with asyncio.timeout(60), Watching(client, uid) as first:
        announced, seen = await first.see(24)
        # The keyframe is two seconds old.
        async with Watching(client, uid) as second:
            also_announced, also_seen = await second.see(5)
            assert shared_worker.metric(viewers) == 2
        also_shown = pictures(also_seen)
        shown = pictures(seen)
        # However late the second one came: until the first has seen what the second one has, and more.
        while len(shown) < 54 or also_shown[-1] not in shown:
            seen += b"".join([await first.socket.receive_bytes() for _ in range(15)])
            shown = pictures(seen)
    assert announced == also_announced == {"mime_type": 'video/mp4; codecs="avc1.4D4028"'}
    original = pictures(CLIP.read_bytes())
    begins = original.index(shown[0])
    assert shown == [original[(begins + at) % len(original)] for at in range(len(shown))]
    assert also_shown == shown[shown.index(also_shown[0]) :][:5]
    assert original.index(also_shown[0]) % 20 == 0, "it begins with a keyframe"
    await becomes(lambda: shared_worker.metric(viewers) == 0, "nobody watches any more")


def noise(path: Path) -> bytes:
    """A file of some 60 MB, which is more than the system keeps for one who does not read."""
    random = np.random.default_rng(1)
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "8"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.codec_context.gop_size = 10
        grains = [random.integers(0, 255, (720, 640), np.uint8) for _ in range(4)]
        for at in range(300):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(grains[at % 4], format="yuv420p")))
        output.mux(stream.encode(None))
    return path.read_bytes()


async def test_a_viewer_that_reads_nothing_holds_nobody_up(
    client: WorkerClient, shared_worker: WorkerProcess, tmp_path: Path, uid: str
) -> None:
    missed = f'videofleet_direct_missed_total{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
    with serving() as web:
        web.pages["/noise.mp4"] = Page(noise(tmp_path / "noise.mp4"))
        assert len(web.pages["/noise.mp4"].body) > 50e6
        await client.assign(file_job(web.url("/noise.mp4"), uid, sampling={"mode": "fps", "value": 2}))
        await client.until(uid, {JobState.RUNNING})
        async with asyncio.timeout(60), Watching(client, uid):
            last = (await client.until(uid, TERMINAL))[-1]
            assert (last.state, last.progress.processed_frames) == (JobState.ENDED, 24)
            assert shared_worker.metric(missed) > 0


async def test_when_the_job_leaves_viewers_are_sent_home(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.rtsp("/cam1"), uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    async with asyncio.timeout(60), Watching(client, uid) as watching:
        await watching.see(2)
        await client.assign()
        async for _ in watching.socket:
            pass
        assert watching.socket.close_code == 1001


async def test_privacy_masks_shut_the_direct_view(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    def entry(settings: str, **spec: Any) -> Entry:
        made = file_job(simulator.rtsp("/cam1"), uid, singlePass=False, **spec)
        return made.model_copy(update={"settings": settings})

    await client.assign(entry("open"))
    await client.until(uid, {JobState.RUNNING})
    async with asyncio.timeout(60), Watching(client, uid) as watching:
        await watching.see(2)
        await client.assign(entry("masked", privacyMasks=[{"polygon": ROOM}]))
        async for _ in watching.socket:
            pass
        assert watching.socket.close_code == 1008
        refused = await client.get(f"/v1/jobs/{uid}/direct")
        assert (refused.status, refused.body["reason"]) == (409, "PrivacyMask")
        assert (await client.get(f"/v1/jobs/{uid}/snapshot.jpg")).status == 200, "annotated pictures are masked"
        await client.assign(entry("open again"))
        async with Watching(client, uid) as again:
            await again.see(2)


async def test_what_browsers_cannot_take_is_refused(client: WorkerClient, uid: str) -> None:
    await client.assign(file_job("test://pattern?width=640&height=360&fps=10", uid, singlePass=False))
    await client.until(uid, {JobState.RUNNING})
    refused = await client.get(f"/v1/jobs/{uid}/direct")
    assert (refused.status, refused.body["codec"]) == (415, "synthetic")
    assert refused.body["message"] == "the source is synthetic; watched directly can be h264 and mjpeg"
    unknown = await client.get("/v1/jobs/nobody/direct")
    assert (unknown.status, unknown.body["code"]) == (404, "UNKNOWN_JOB")
