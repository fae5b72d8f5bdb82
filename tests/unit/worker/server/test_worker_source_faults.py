"""What sources do wrong, ten at a time on one worker, beside a file and a camera that do nothing wrong: each fault ends
in the phase and with the code that the lifecycle says, and the two notice nothing.

The reports are a real worker's; what they make of a job is the operator's own decision. What is no source's fault has
files of its own: decoders that crash (test_worker_isolation, test_worker_decoders), the archive, the disk and the clock
(test_worker_faults, test_worker_bucket, test_worker_machine), receivers and viewers (test_worker_outputs,
test_worker_direct)."""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.cameras import CameraSimulator
from tests.support.domain import NOW, context, job, record, worker
from tests.support.processes import descendants
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.decode.webserver import serving
from tests.unit.worker.server.conftest import Keys, chunks_of
from tests.unit.worker.server.sourcefaults import FAULTS, FRAMES, METADATA, Sources
from tests.unit.worker.server.test_worker_isolation import told
from videofleet_api.codes import REASON_OF_ERROR
from videofleet_api.phases import Phase
from videofleet_api.protocol import TERMINAL, Entry, Inventory, JobEvent, JobReport, JobState
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.observation import worker_fact
from videofleet_operator.domain.reports import Report

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
        before, memory = set(descendants(pid)), _resident(process)
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
            while left := set(descendants(pid)) - before:  # noqa: ASYNC110 - they do not tell
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
    async with asyncio.timeout(900), aclosing(client.events()) as events:
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
    held = record(Phase.STARTING, epoch=1)
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
    assert last.first_frame is (fault.phase in (Phase.INTERRUPTED, Phase.COMPLETED))
    if last.code is None:
        assert last.state is JobState.ENDED
    else:
        assert ended.reason is REASON_OF_ERROR[last.code]
        assert ended.last_error is not None
        assert ended.last_error.code == last.code


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
