"""What sources do wrong, ten at a time on one worker, beside a file and a camera that do nothing wrong: each fault ends
in the phase and with the code that the lifecycle says, and the two notice nothing.

The reports are a real worker's; what they make of a job is the operator's own decision. What is no source's fault has
files of its own: decoders that crash (test_worker_isolation, test_worker_decoders), the archive, the disk and the clock
(test_worker_faults, test_worker_bucket, test_worker_machine), receivers and viewers (test_worker_outputs,
test_worker_direct)."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.cameras import CLIP, CameraSimulator
from tests.support.domain import NOW, context, job, record, worker
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.decode.clips import ClipSpec, cut_in_frame, damage_frame, encode_audio, make_clip
from tests.unit.worker.decode.faulty import (
    ENDLESS_PLAYLIST,
    answering,
    endless,
    flipped,
    free_datagram_port,
    huge_picture,
    joined_late,
    sent_badly,
    shifted,
    shortly_before_the_wrap,
    without_timestamps,
)
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from tests.unit.worker.server.conftest import Keys, chunks_of
from tests.unit.worker.server.test_worker_isolation import processes_below, told
from videofleet_api.codes import REASON_OF_ERROR, ErrorCode
from videofleet_api.phases import Phase
from videofleet_api.protocol import TERMINAL, Entry, Inventory, JobEvent, JobReport, JobState
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.observation import worker_fact
from videofleet_operator.domain.reports import Report

C, P = ErrorCode, Phase
FRAMES = 20
TS = ClipSpec(frames=FRAMES, container="mpegts")
METADATA = "169.254.169.254"
# The worker; a name leads to this machine when it is looked up first, and to the metadata service from then on.
_PROGRAM = f"""
import socket
look_up, asked = socket.getaddrinfo, []
def changing(host, *arguments, **options):
    if host == "changing.test":
        asked.append(host)
        host = "127.0.0.1" if len(asked) == 1 else "{METADATA}"
    return look_up(host, *arguments, **options)
socket.getaddrinfo = changing
from videofleet_worker.__main__ import main
raise SystemExit(main())
"""


@dataclass
class Sources:
    """Where wrong sources are put up."""

    folder: Path
    web: WebServer
    cameras: CameraSimulator
    stack: ExitStack

    def page(self, name: str, page: Page) -> str:
        """Serve it; its address."""
        self.web.pages[f"/{name}"] = page
        return self.web.url(f"/{name}")

    def file(self, name: str, body: bytes) -> str:
        """Serve a file; its address."""
        return self.page(name, Page(body))

    def clip(self, name: str, spec: ClipSpec = TS) -> Path:
        """A clip of its own."""
        return make_clip(self.folder / name, spec)

    def answering(self, *answers: str) -> str:
        """A camera that says no more than this."""
        port, _ = self.stack.enter_context(answering(*answers))
        return f"rtsp://127.0.0.1:{port}/1"

    def silent(self, scheme: str) -> str:
        """A server that accepts, and says nothing."""
        listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/1"


@dataclass(frozen=True)
class Fault:
    """`put_up` gives the address. `code` None: the stream goes on to its end, with `frames` where their number is
    known. `strike`: what happens once its first frame was analysed."""

    phase: Phase
    code: ErrorCode | None
    put_up: Callable[[Sources], str]
    says: str = ""
    frames: int | None = None
    source: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    strike: Callable[[Sources], None] | None = None


def goes_on(put_up: Callable[[Sources], str], frames: int | None = None, **fields: Any) -> Fault:
    return Fault(P.COMPLETED, None, put_up, frames=frames, **fields)


def camera(number: int, fault: str, **fields: Any) -> dict[str, Any]:
    """A camera of the simulator that gets this fault while it is watched."""
    spec = {"sampling": {"mode": "fps", "value": 2}, "reconnectWindow": 0} | fields
    path = f"/cam{number}"
    return {
        "put_up": lambda on: on.cameras.rtsp(path),
        "spec": spec,
        "strike": lambda on: on.cameras.fault(path, fault),
    }


def truncated(on: Sources) -> str:
    path = on.clip("truncated.mp4", ClipSpec(frames=FRAMES))
    cut_in_frame(path, 12)
    return on.file(path.name, path.read_bytes())


def damaged(name: str, frames: Sequence[int], of: int) -> Callable[[Sources], str]:
    def put_up(on: Sources) -> str:
        path = on.clip(name, ClipSpec(frames=of, gop=1))
        for index in frames:
            damage_frame(path, index)
        return on.file(name, path.read_bytes())

    return put_up


def both(name: str, *offsets: float) -> Callable[[Sources], str]:
    """A transport stream whose timestamps begin so late, one after the other."""
    return lambda on: on.file(name, b"".join(shifted(on.clip(f"{name}-{each}.ts"), each) for each in offsets))


def joined_in_a_group(on: Sources) -> str:
    spec = ClipSpec(frames=FRAMES, gop=8, container="mpegts", codec="libx265", width=128, height=96)
    return on.file("joined.ts", joined_late(on.clip("hevc.ts", spec), 5))


def of_uneven_rate(on: Sources) -> str:
    parts = [on.clip(f"rate-{fps}.ts", replace(TS, fps=fps)) for fps in (25, 5)]
    return on.file("rates.ts", b"".join(path.read_bytes() for path in parts))


def of_two_sizes(on: Sources) -> str:
    parts = [on.clip(f"size-{width}.ts", replace(TS, width=width)) for width in (64, 128)]
    return on.file("sizes.ts", b"".join(path.read_bytes() for path in parts))


def another_codec(on: Sources) -> None:
    second = on.clip("second.ts", ClipSpec(container="mpegts", codec="libx265", width=128, height=96))
    on.web.pages["/camera.ts"] = Page(second.read_bytes())


def with_nonces_that_expire(on: Sources) -> str:
    content = on.clip("locked.mp4", ClipSpec(frames=FRAMES)).read_bytes()
    page = Page(content, login="admin:secret", digest=True, expires=True, give_up_after=len(content) * 3 // 10)
    return on.page("locked.mp4", page)


def throttling(on: Sources) -> str:
    content = on.clip("throttled.mp4", ClipSpec(frames=FRAMES)).read_bytes()
    page = Page(content, give_up_after=len(content) * 4 // 10, later=[503, 429])
    return on.page("throttled.mp4", page)


def changing(on: Sources) -> str:
    # Long enough that its first frames are there before the second connection is.
    content = CLIP.read_bytes()
    url = on.page("changing.mp4", Page(content, give_up_after=len(content) * 6 // 10))
    return url.replace("127.0.0.1", "changing.test")


def losing_packets(on: Sources) -> str:
    content = on.clip("lost.ts", ClipSpec(container="mpegts", fps=25, width=320, height=240, gop=5)).read_bytes()
    port = free_datagram_port()
    on.stack.enter_context(sent_badly(content, port))
    return f"udp://0.0.0.0:{port}"


def without_an_end(on: Sources) -> str:
    return f"http://127.0.0.1:{on.stack.enter_context(endless(*ENDLESS_PLAYLIST))}/list.m3u8"


FAULTS = {
    # Before anything could be seen.
    "zeros": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("zeros.mp4", bytes(100_000)), "not a video"),
    "text": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("text.txt", b"a line\n" * 5000), "not a video"),
    "sound alone": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("sound.mp4", encode_audio()), "only audio"),
    "nothing but damage": Fault(P.MISCONFIGURED, C.CODEC, damaged("damage.mp4", (0, 1, 2), 3), "could be decoded"),
    "a picture of 16k x 16k": Fault(
        P.MISCONFIGURED,
        C.UNSUPPORTED,
        lambda on: on.file("huge.png", huge_picture()),
        "too large",
        spec={"images": True},
    ),
    "a playlist without an end": Fault(P.NOT_STARTED, C.TIMEOUT, without_an_end),
    "an HTTP server that says nothing": Fault(P.NOT_STARTED, C.TIMEOUT, lambda on: on.silent("http")),
    "a camera that says nothing": Fault(P.NOT_STARTED, C.TIMEOUT, lambda on: on.silent("rtsp")),
    "a wrong password": Fault(
        P.NOT_STARTED,
        C.AUTH,
        lambda on: on.cameras.rtsp("/secure"),
        source={"username": "camera", "password": "wr0ng"},
    ),
    "no such camera": Fault(P.NOT_STARTED, C.NOT_FOUND, lambda on: on.cameras.rtsp("/nowhere")),
    "a camera at its limit (453)": Fault(
        P.NOT_STARTED, C.NETWORK, lambda on: on.answering("453 Not Enough Bandwidth"), "no room"
    ),
    "a camera at its limit (503)": Fault(
        P.NOT_STARTED, C.NETWORK, lambda on: on.answering("503 Service Unavailable"), "503"
    ),
    "a redirect inside": Fault(
        P.NOT_STARTED, C.FORBIDDEN, lambda on: on.page("moved", Page(moved=f"http://{METADATA}/latest")), METADATA
    ),
    "a camera's redirect inside": Fault(
        P.NOT_STARTED,
        C.FORBIDDEN,
        lambda on: on.answering(f"302 Found\r\nLocation: rtsp://{METADATA}/latest"),
        METADATA,
    ),
    "a store that throttles": Fault(P.NOT_STARTED, C.NETWORK, lambda on: on.page("slow-down", Page(status=503))),
    "a store that knows the keys no more": Fault(
        P.NOT_STARTED, C.AUTH, lambda on: on.page("no-more", Page(status=403))
    ),
    # In the middle.
    "a truncated file": Fault(P.INTERRUPTED, C.CODEC, truncated, f"file ends at frame 13 of {FRAMES}"),
    "a name that changes its address": Fault(
        P.INTERRUPTED, C.FORBIDDEN, changing, METADATA, spec={"sampling": {"mode": "interval", "value": 20}}
    ),
    "a camera that is gone": Fault(P.INTERRUPTED, C.NETWORK, **camera(1, "stop")),
    "a camera that falls silent": Fault(P.INTERRUPTED, C.STALLED, **camera(2, "silence")),
    "a password that is changed": Fault(P.INTERRUPTED, C.AUTH, **camera(3, "wrong-password", reconnectWindow=30)),
    # What goes on.
    "another size after a reconnect": Fault(
        P.COMPLETED, None, frames=30, **camera(4, "resolution", reconnectWindow=30, maxFrames=30)
    ),
    "a frozen picture": Fault(P.COMPLETED, None, frames=12, **camera(5, "freeze", maxFrames=12)),
    "a black picture": Fault(P.COMPLETED, None, frames=12, **camera(6, "black", maxFrames=12)),
    "another codec after a reconnect": goes_on(
        lambda on: on.file("camera.ts", on.clip("first.ts").read_bytes()),
        source={"kind": "live"},
        spec={"maxFrames": 35},
        frames=35,
        strike=another_codec,
    ),
    "packets lost and reordered": goes_on(losing_packets, 10, spec={"maxFrames": 10}),
    "timestamps that jump": goes_on(both("jump.ts", 0, 36_000), 2 * FRAMES),
    "timestamps that run backwards": goes_on(both("back.ts", 36_000, 0), 2 * FRAMES),
    "timestamps that wrap": goes_on(both("wrap.ts", shortly_before_the_wrap(2.4)), FRAMES),
    "timestamps that are missing": goes_on(
        lambda on: on.file("bare.h264", without_timestamps(on.clip("timed.ts"))), FRAMES
    ),
    "a rate that varies": goes_on(of_uneven_rate, 2 * FRAMES),
    "another size in mid-stream": goes_on(of_two_sizes, 2 * FRAMES),
    "HEVC joined in the middle of a group": goes_on(joined_in_a_group),
    "damage in the middle": goes_on(damaged("holes.mp4", (5, 9), FRAMES), FRAMES - 2),
    "flipped bits": goes_on(lambda on: on.file("flipped.ts", flipped(on.clip("whole.ts").read_bytes(), 1, bits=8))),
    "nonces that expire": goes_on(with_nonces_that_expire, FRAMES, source={"username": "admin", "password": "secret"}),
    "a store that throttles in mid-file": goes_on(throttling, FRAMES),
}


TOGETHER = 10
WAVES = [list(FAULTS)[at : at + TOGETHER] for at in range(0, len(FAULTS), TOGETHER)]


@dataclass(frozen=True)
class Told:
    """What a worker said of each fault, of a file alone and beside them, and of a camera beside them."""

    reports: dict[str, list[JobReport]]
    frames: dict[str, list[int]]
    alone: list[Any]
    beside: list[list[Any]]
    camera: list[JobReport]
    left: set[int]
    memory: tuple[float, float]


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Told:
    """All faults."""
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        cameras = stack.enter_context(CameraSimulator(["--cameras", "7"]))
        sources = Sources(folder, stack.enter_context(serving()), cameras, stack)
        allowed = ["127.0.0.0/8", "0.0.0.0/32"]
        settings = {"capacity": str(TOGETHER + 2), "source_policy": json.dumps({"allowedCidrs": allowed})}
        process = WorkerProcess(folder / "archive", keys.server, program=("-c", _PROGRAM), **settings)
        return asyncio.run(_happening(stack.enter_context(process), keys, sources))


def _entry(name: str, sources: Sources) -> Entry:
    fault = FAULTS[name]
    url, spec = fault.put_up(sources), dict(fault.spec)
    images = {"images": [url]} if spec.pop("images", False) else {}
    return file_job(url, _uid(name), source={"url": url} | images | fault.source, **spec)


def _uid(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


async def _happening(process: WorkerProcess, keys: Keys, sources: Sources) -> Told:
    clip, pid = sources.cameras.http("/vtest.mp4"), process.process.pid
    async with WorkerClient(process, keys.operator) as client:
        await client.assign(file_job(clip, "alone", maxFrames=15))
        await client.until("alone", TERMINAL)
        alone, beside = told(await client.log("alone")), []
        await client.assign()
        before, memory = set(processes_below(pid)), _resident(process)
        well = file_job(sources.cameras.rtsp("/cam7"), "camera", singlePass=False, sampling={"mode": "fps", "value": 1})
        reports: dict[str, list[JobReport]] = {}
        frames: dict[str, list[int]] = {}
        for number, wave in enumerate(WAVES):
            file = f"beside-{number}"
            await client.assign(well, file_job(clip, file, maxFrames=15), *(_entry(name, sources) for name in wave))
            for uid, found in (await _followed(client, wave, file, sources)).items():
                reports.setdefault(uid, []).extend(found)
            beside.append(told(await client.log(file)))
            for name in wave:
                if FAULTS[name].code is None:
                    chunks = chunks_of(await client.log(_uid(name)))[:-1]
                    frames[name] = [one["stream_info"]["frame_index"] for one in chunks]
        await client.assign()
        async with asyncio.timeout(60):
            while left := set(processes_below(pid)) - before:  # noqa: ASYNC110 - they do not tell
                await asyncio.sleep(0.1)
        by_name = {name: reports[_uid(name)] for name in FAULTS}
        return Told(by_name, frames, alone, beside, reports["camera"], left, (memory, _resident(process)))


async def _followed(
    client: WorkerClient, wave: Sequence[str], file: str, sources: Sources
) -> dict[str, list[JobReport]]:
    """The reports of all jobs until each of these faults, and the file beside them, has come to its end."""
    strikes = {_uid(name): strike for name in wave if (strike := FAULTS[name].strike) is not None}
    reports: dict[str, list[JobReport]] = {}
    open_ones = {*map(_uid, wave), file}
    async with asyncio.timeout(300), aclosing(client.events()) as events:
        async for event in events:
            found = event.reports if isinstance(event, Inventory) else []
            for report in [event.report] if isinstance(event, JobEvent) else found:
                reports.setdefault(report.uid, []).append(report)
                if report.state in TERMINAL:
                    open_ones.discard(report.uid)
                if report.first_frame and (strike := strikes.pop(report.uid, None)) is not None:
                    await asyncio.to_thread(strike, sources)
            if not open_ones:
                return reports
    raise AssertionError(f"the event stream ended before {sorted(open_ones)}")


def _resident(process: WorkerProcess) -> float:
    """MiB of the worker's own process."""
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def became(reports: Sequence[JobReport]) -> Record:
    """What the operator makes of a job of which it hears this."""
    at = worker()
    one = job("j1", single_pass=True)
    held = record(P.STARTING, epoch=1)
    for report in reports:
        seen = replace(at, reports={"j1": replace(Report.of(report), uid="j1")})
        while (fact := worker_fact(one, held, seen, NOW)) is not None:
            after = advance(held, fact, context(single_pass=True), NOW)
            if after is held:
                break
            held = after
    return held


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_its_phase_and_with_its_code(happened: Told, name: str) -> None:
    fault, reports = FAULTS[name], happened.reports[name]
    last, ended = reports[-1], became(reports)
    assert (last.code, ended.phase) == (fault.code, fault.phase), last.message
    assert fault.says in (last.message or "")
    assert last.first_frame is (fault.phase in (P.INTERRUPTED, P.COMPLETED))
    if fault.code is None:
        assert last.state is JobState.ENDED
    else:
        assert ended.reason is REASON_OF_ERROR[fault.code]
        assert ended.last_error is not None
        assert ended.last_error.code == fault.code


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.code is None])
def test_what_goes_on_has_each_frame_once(happened: Told, name: str) -> None:
    frames, wanted = happened.frames[name], FAULTS[name].frames
    assert frames == sorted(set(frames))
    assert len(frames) == wanted if wanted is not None else len(frames) > FRAMES // 3


def test_the_file_beside_them_is_as_it_is_alone(happened: Told) -> None:
    assert len(happened.alone) == 15
    assert happened.beside == [happened.alone] * len(WAVES)


def test_the_camera_beside_them_goes_on(happened: Told) -> None:
    assert {report.state for report in happened.camera} <= {JobState.PREPARING, JobState.RUNNING}
    assert happened.camera[-1].first_frame


def test_no_decoder_is_left_and_memory_comes_back(happened: Told) -> None:
    before, after = happened.memory
    assert not happened.left
    assert after < before + 200, "MiB"
