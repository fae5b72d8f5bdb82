"""What a machine does to a worker: a disk that is full, a clock that is set."""

import asyncio
import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.programs import REPOSITORY
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, chunks_of, frames_of
from videofleet_api.protocol import TERMINAL, JobState

# The worker with an archive on a small volume of its own, in a mount namespace of its own, which something else fills
# at SIGUSR1 and leaves at SIGUSR2.
_SMALL_VOLUME = """
import ctypes, os, signal
folder = os.environ["VIDEOFLEET_ARCHIVE"]
os.makedirs(folder, exist_ok=True)
libc = ctypes.CDLL(None, use_errno=True)
user, mounts, private = 0x10000000, 0x20000, 0x44000
who = os.getuid(), os.getgid()
assert libc.unshare(mounts | (user if who[0] else 0)) == 0, os.strerror(ctypes.get_errno())
if who[0]:
    open("/proc/self/setgroups", "w").write("deny")
    open("/proc/self/uid_map", "w").write(f"{who[0]} {who[0]} 1")
    open("/proc/self/gid_map", "w").write(f"{who[1]} {who[1]} 1")
assert libc.mount(b"none", b"/", None, private, None) == 0, os.strerror(ctypes.get_errno())
assert libc.mount(b"archive", folder.encode(), b"tmpfs", 0, b"size=8m") == 0, os.strerror(ctypes.get_errno())
filler = os.path.join(folder, "filler")
def fill(*signal):
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
signal.signal(signal.SIGUSR1, fill)
signal.signal(signal.SIGUSR2, lambda *signal: os.unlink(filler))
from videofleet_worker.__main__ import main
raise SystemExit(main())
"""

# Read by the worker, its fork server and so by every decoder: the clock of the wall, set when a byte of a file is, that
# all have in their memory before decoders lose the right to open any. The monotonic one goes on.
_CLOCK = """
import mmap, time
with open({switch!r}, "rb") as file:
    _switch = mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ)
_read = time.time
time.time = lambda: _read() + ({step} if _switch[0] else 0)
"""
# The worker again, with what is on that path before all else.
_WITH_CLOCK = """
import os, sys
os.execve(sys.executable, [sys.executable, "-m", "videofleet_worker"], os.environ | {{"PYTHONPATH": {path!r}}})
"""


async def test_a_full_disk_under_the_archive_holds_results_back_and_loses_none(
    keys: Keys, simulator: CameraSimulator, uid: str, tmp_path: Path
) -> None:
    with WorkerProcess(tmp_path / "archive", keys.server, program=("-c", _SMALL_VOLUME)) as worker:
        async with WorkerClient(worker, keys.operator) as client:
            unkept = f"{uid}-b"
            url = simulator.http("/vtest.mp4")
            await client.assign(file_job(url, uid, maxFrames=120), file_job(url, unkept, archiveEnabled=False))
            await client.until_told(uid, lambda one: one.progress is not None and one.progress.processed_frames > 3)
            worker.process.send_signal(signal.SIGUSR1)
            errors = f'videofleet_archive_errors_total{{name="name-of-{uid}",namespace="default",uid="{uid}"}}'
            await becomes(lambda: worker.metric(errors) >= 2, "the worker has noticed", 60)
            await becomes(lambda: worker.plain("/readyz")[0] == 503, "the worker is not ready")
            assert "archive: cannot" in worker.plain("/readyz")[1]
            assert worker.plain("/healthz")[0] == 200
            processed = (
                f'videofleet_frames_processed_total{{name="name-of-{unkept}",namespace="default",uid="{unkept}"}}'
            )
            seen = worker.metric(processed)
            await becomes(lambda: worker.metric(processed) > seen + 3, "who keeps nothing does not notice", 60)
            worker.process.send_signal(signal.SIGUSR2)
            last = (await client.until(uid, TERMINAL))[-1]
            assert (last.state, last.epoch) == (JobState.ENDED, 1)
            assert frames_of(await client.log(uid)) == list(range(120))
            await becomes(lambda: worker.plain("/readyz")[0] == 200, "the worker is ready again")


@pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["an hour back", "an hour on"])
async def test_a_step_of_the_clock_stops_nothing_and_times_of_frames_only_grow(
    keys: Keys,
    simulator: CameraSimulator,
    uid: str,
    tmp_path: Path,
    step: float,
) -> None:
    switch = tmp_path / "switch"
    switch.write_bytes(b"\0")
    (tmp_path / "sitecustomize.py").write_text(_CLOCK.format(step=step, switch=str(switch)))
    parts = (REPOSITORY / part for part in ("api", "archive", "worker"))
    path = os.pathsep.join(str(one) for one in (tmp_path, *parts))
    program = "-c", _WITH_CLOCK.format(path=path)
    with WorkerProcess(tmp_path / "archive", keys.server, program=program) as worker:
        async with WorkerClient(worker, keys.operator) as client:
            file = f"{uid}-b"
            camera = file_job(simulator.rtsp("/cam1"), uid, singlePass=False)
            await client.assign(camera, file_job(simulator.http("/vtest.mp4"), file, maxFrames=30))
            watching = asyncio.create_task(client.until(uid, {JobState.RECONNECTING, *TERMINAL}, 3600))
            await client.until(uid, {JobState.RUNNING})
            whole, before = b"", None
            async with asyncio.timeout(180):
                async for data in client.chunks(uid, "?offset=oldest"):
                    whole += data
                    told = chunks_of(whole[: whole.rfind(b"\n\n") + 2])
                    if before is None and len(told) > 10:
                        before, at = len(told), time.monotonic()
                        with switch.open("r+b") as opened:
                            opened.write(b"\1")
                    if before is not None and len(told) > before + 10 and time.monotonic() > at + 5:
                        break
            assert not watching.done(), "the camera was neither lost nor ended"
            watching.cancel()
            assert (await client.until(file, TERMINAL))[-1].state is JobState.ENDED
            assert frames_of(await client.log(file)) == list(range(30))
    infos = [one["stream_info"] for one in told]
    for field in ("frame_index", "pts", "capture_time"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field
    gaps = [after["pts"] - before["pts"] for before, after in itertools.pairwise(infos)]
    assert max(gaps) < abs(step) / 2, "the run's own time knows nothing of it"
    if step > 0:
        assert infos[-1]["capture_time"] - infos[0]["capture_time"] > 3000, "frames tell the time that is set"
