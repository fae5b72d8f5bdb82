"""One round: a server, clients in a process of their own, and results that are written for a while."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.archives import chunk, mark, threads_over
from tests.support.authority import Authority
from tests.support.gateway import KEY, NAMESPACE, JobApi
from tests.support.gateway_process import GatewayProcess, until
from tests.support.log_server import LogServer
from tests.support.programs import REPOSITORY, free_port
from tests.support.v_tasks import SPEC
from videofleet_api.names import READER_CLIENT_NAME, WORKER_API_PORT, archive_place, worker_server_name
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import FolderArchive
from videofleet_archive.writer import LogWriter, SealPolicy
from videofleet_gateway.jobs.naming import id_annotation, job_name
from videofleet_gateway.tasks.tasks import DIALECT
from videofleet_gateway.tasks.ulids import new_task_id

_FRAMES = 5
"""Of a segment."""
_BETWEEN_SEGMENTS = 0.2
"""Seconds, of each log. Of a hundred logs five times as many, so that the disk is not what is measured."""
_WORKER, _POD = "127.0.0.9", "pool-0-1"
_TICKS = os.sysconf("SC_CLK_TCK")

Write = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Size:
    """How much there is of what."""

    clients: int
    logs: int
    seconds: float

    @property
    def between(self) -> float:
        """Seconds from one segment of a log to the next."""
        return _BETWEEN_SEGMENTS * (1 if self.logs == 1 else 5)


@dataclass
class Sealing:
    """When which bytes of a log were there to be read."""

    ends: list[tuple[int, float]] = field(default_factory=list)
    size: int = 0

    def sealed(self, size: int) -> None:
        """See Counters."""
        self.size += size
        self.ends.append((self.size, time.monotonic()))

    def store_failed(self) -> None:
        """See Counters. The store is a folder here."""
        raise AssertionError("the folder does not take results")

    def lost(self) -> None:
        """See Counters. The spool is never full here."""
        raise AssertionError("results were lost")


@dataclass(frozen=True)
class Measured:
    """One round: processor time a second, bytes of memory over those without clients, bytes a second, waits in
    seconds, segments a second."""

    cpu: float
    memory: float
    bytes: float
    waits: list[float]
    sealed: float


async def ours(folder: Path, size: Size) -> Measured:
    """A gateway over an archive in a folder, and a worker that writes there."""
    async with AsyncExitStack() as stack:
        api, keys = await stack.enter_async_context(JobApi()), Authority()
        worker = api.put("api/v1/pods", "default", _POD, status={"podIP": _WORKER})["metadata"]["uid"]
        has_job = {"name": _POD, "pool": "default/pool", "id": worker, "instance": "x"}
        paths, prefixes = [], []
        for _ in range(size.logs):
            task = new_task_id(time.time(), os.urandom)
            metadata = {"annotations": {id_annotation(DIALECT): task}}
            job = api.job(
                job_name(DIALECT, task),
                spec=SPEC,
                status={"phase": "INPROGRESS", "run": 1, "worker": has_job},
                metadata=metadata,
            )
            paths.append(f"/v1/video/tasks/{task}/stream")
            prefixes.append(f"{NAMESPACE}/{job['metadata']['uid']}/1/main")
        logs = {path: Sealing() for path in paths}
        threads = await stack.enter_async_context(threads_over(FolderArchive(folder / "archive")))
        writers, views = [], {}
        for prefix, sealing in zip(prefixes, logs.values(), strict=True):
            view = (await see_log(threads, prefix)).view
            owned = await own_log(view, 1, "worker", SealPolicy(seconds=0), sealing)
            assert owned.writer is not None
            stack.push_async_callback(owned.writer.abandon)
            sealing.size = owned.view.extent.end
            writers.append(owned.writer)
            views[archive_place(prefix).uid] = owned.view
        files = keys.issue(folder / "worker", "worker", worker_server_name("default", _POD))
        await stack.enter_async_context(LogServer(views, files, _WORKER, WORKER_API_PORT))
        reader = str(keys.issue(folder / "reader", READER_CLIENT_NAME))
        gateway = GatewayProcess(folder, api.host, v_open_streams="100000", max_streams="100000", worker_tls=reader)
        stack.callback(gateway.kill)
        await gateway.start()
        return await _round(gateway.pid, gateway.port, logs, [_frames(writer) for writer in writers], size)


def _frames(writer: LogWriter) -> Write:
    async def write() -> None:
        for frame in range(_FRAMES):
            await writer.append(chunk(frame, (1, 2)), mark(frame))

    return write


async def peers(folder: Path, size: Size) -> Measured:
    """An application that tails files; what is written to them is on no disk for certain."""
    logs = {f"/log-{number}": Sealing() for number in range(size.logs)}
    for path in logs:
        (folder / path[1:]).touch()
    port = free_port()
    command = ["-m", "tests.bench.gateway.peers.tailing", str(folder), str(port)]
    async with _process(*command) as server:
        await until(lambda: _listens(port), "the peer listens")
        writes = [_append(folder / path[1:], sealing) for path, sealing in logs.items()]
        return await _round(server.pid, port, logs, writes, size)


def _append(path: Path, sealing: Sealing) -> Write:
    data = b"".join(b"data: %b\nid: %016d\n\n" % (chunk(frame, (1, 2)), 0) for frame in range(_FRAMES))

    async def write() -> None:
        with path.open("ab") as file:
            file.write(data)
        sealing.sealed(len(data))

    return write


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def _round(pid: int, port: int, logs: dict[str, Sealing], writes: list[Write], size: Size) -> Measured:
    before = _memory(pid)
    command = ["-m", "tests.bench.gateway.listening", str(port), str(size.clients), KEY, *logs]
    async with _process(*command) as clients:
        assert clients.stdout is not None
        assert clients.stdin is not None
        assert await clients.stdout.readline() == b"ready\n"
        cpu, began = _cpu(pid), time.monotonic()
        await asyncio.gather(*(_keep_writing(write, size, number / len(writes)) for number, write in enumerate(writes)))
        # The last ones arrive.
        await asyncio.sleep(2)
        seconds = time.monotonic() - began
        used, memory = _cpu(pid) - cpu, _memory(pid) - before
        clients.stdin.close()
        heard = json.loads(await clients.stdout.read())
        await clients.wait()
    assert not any(one["broken"] for one in heard)
    sealed = sum(len(sealing.ends) for sealing in logs.values())
    return Measured(
        used / seconds, memory, sum(one["raw"] for one in heard) / seconds, _waits(heard, logs), sealed / seconds
    )


async def _keep_writing(write: Write, size: Size, phase: float) -> None:
    start = time.monotonic() + phase * size.between
    for number in range(int(size.seconds / size.between)):
        await asyncio.sleep(max(0, start + number * size.between - time.monotonic()))
        await write()


def _waits(heard: list[dict[str, object]], logs: dict[str, Sealing]) -> list[float]:
    """From when a segment was there until a client had it, of the clients that took times."""
    found: list[float] = []
    by_path: dict[str, list[list[tuple[float, int]]]] = defaultdict(list)
    for one in heard:
        if one["times"]:
            by_path[str(one["path"])].append(one["times"])  # type: ignore[arg-type] # as Client has them
    for path, clients in by_path.items():
        for times in clients:
            arrivals = iter(times)
            when, there = next(arrivals)
            for end, sealed in logs[path].ends:
                while there < end:
                    when, there = next(arrivals)
                found.append(max(0.0, when - sealed))
    return found


def _cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> float:
    """Bytes that are its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    path = os.pathsep.join([".", "api", "archive", "gateway", "kube"])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": path},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**30,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
