"""Broadcasts over HLS on a real worker."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import descendants
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.test_source_playlists import playlist
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from tests.unit.worker.server.conftest import Keys, StartWorker, chunks_of, frames_of
from videofleet_api.protocol import TERMINAL, JobState


@contextmanager
def broadcast(folder: Path, pieces: int) -> Iterator[WebServer]:
    """A server of so many pieces of three seconds, of which an open playlist names two."""
    segment = make_clip(folder / "piece.ts", ClipSpec(container="mpegts")).read_bytes()
    with serving() as web:
        web.pages |= {f"/{number}.ts": Page(segment) for number in range(pieces)}
        web.pages["/list.m3u8"] = playlist(["0.ts", "1.ts"], closed=False)
        yield web


async def test_a_broadcast_that_is_closed_ends_its_run(client: WorkerClient, tmp_path: Path, uid: str) -> None:
    """Regularly, as a file: what came is told once, and the log has its end."""
    with broadcast(tmp_path, pieces=3) as web:
        await client.assign(file_job(web.url("/list.m3u8"), uid, singlePass=False))
        await client.until(uid, {JobState.RUNNING})
        web.pages["/list.m3u8"] = playlist(["0.ts", "1.ts", "2.ts"])
        reports = await client.until(uid, TERMINAL)
    assert (reports[-1].state, reports[-1].code) == (JobState.ENDED, None)
    assert JobState.RECONNECTING not in {report.state for report in reports}
    data = await client.log(uid)
    told = frames_of(data)
    assert told == sorted(set(told))
    assert 60 <= told[-1] < 90
    assert chunks_of(data)[-1]["finish_reason"] == "stop"
    assert data.count(b"data: [DONE]") == 1


async def test_a_broadcast_that_is_closed_while_its_decoder_is_lost_ends_its_run(
    start_worker: StartWorker, keys: Keys, tmp_path: Path, uid: str
) -> None:
    """Regularly, and without what a recording of it would tell a second time."""
    with broadcast(tmp_path, pieces=2) as web:
        worker = start_worker()
        async with WorkerClient(worker, keys.operator) as client:
            before = descendants(worker.process.pid)
            await client.assign(file_job(web.url("/list.m3u8"), uid, singlePass=False))
            await client.until(uid, {JobState.RUNNING})
            web.pages["/list.m3u8"] = playlist(["0.ts", "1.ts"])
            for decoder in set(descendants(worker.process.pid)) - set(before):
                os.kill(decoder, signal.SIGKILL)
            reports = await client.until(uid, TERMINAL)
            told = frames_of(await client.log(uid))
    assert JobState.RECONNECTING in {report.state for report in reports}
    assert (reports[-1].state, reports[-1].code) == (JobState.ENDED, None)
    assert told == sorted(set(told))
    assert told[-1] < 60


async def test_a_broadcast_that_is_closed_without_its_last_piece_ends_its_run(
    client: WorkerClient, tmp_path: Path, uid: str
) -> None:
    """It is not analysed again as a recording, of which nothing may be missing."""
    with broadcast(tmp_path, pieces=2) as web:
        await client.assign(file_job(web.url("/list.m3u8"), uid, singlePass=False))
        await client.until(uid, {JobState.RUNNING})
        web.pages["/list.m3u8"] = playlist(["0.ts", "1.ts", "gone.ts"])
        reports = await client.until(uid, TERMINAL)
    assert (reports[-1].state, reports[-1].code) == (JobState.ENDED, None)
    assert frames_of(await client.log(uid))[-1] < 60
