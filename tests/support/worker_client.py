"""A worker process as the operator sees it: the process itself, and its HTTPS interface."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.authority import SERVER_NAME, client_context
from tests.support.programs import WORKER, environment
from tests.support.waiting import wait_until
from videofleet_api.finalize import Finalize
from videofleet_api.protocol import (
    EVENT_LINE,
    Entry,
    Finalized,
    Heartbeat,
    Inventory,
    JobEvent,
    JobReport,
    JobSpec,
    JobState,
)

START_SECONDS = 180.0


class WorkerProcess:
    """`python -m videofleet_worker` on free ports of the loopback address, from `start` (or `with`) to `stop`."""

    def __init__(
        self,
        archive: Path,
        tls: Path,
        name: str = "worker",
        *,
        program: Sequence[str] = ("-m", "videofleet_worker"),
        **settings: str,
    ) -> None:
        """`settings` become environment variables, VIDEOFLEET_ before their name in capitals. `program`: what Python
        is to run."""
        self.archive = archive
        self._program = tuple(program)
        self.api_port = 0
        self.plain_port = 0
        usual = {
            "worker_id": name,
            "capacity": "4",
            "archive": str(archive),
            "tls_dir": str(tls),
            "listen": "127.0.0.1",
            "api_port": "0",
            "plain_port": "0",
            # Where the cameras of tests are, which is closed to sources otherwise.
            "source_policy": '{"allowedCidrs": ["127.0.0.0/8"]}',
            "output_policy": '{"allowedCidrs": ["127.0.0.0/8"]}',
        }
        self._environment = environment(*WORKER, **(usual | settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._log_path = archive.parent / f"{name}.log"
        self._log_start = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *reason: object) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "start() comes first"
        return self._process

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        self._log_start = self._log_path.stat().st_size if self._log_path.exists() else 0
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program], env=self._environment, stdout=log, stderr=log
            )
        wait_until(lambda: bool(self._ready()) or self._process_ended(), "the worker is ready", START_SECONDS)
        ready = self._ready()
        assert ready, f"the worker ended instead of starting:\n{self.log()}"
        self.api_port, self.plain_port = ready[0]["api_port"], ready[0]["plain_port"]
        return self

    def stop(self, seconds: float = 120.0) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What the process of the last start wrote."""
        return self._log_path.read_bytes()[self._log_start :].decode()

    def records(self) -> list[dict[str, Any]]:
        """The complete records of its log."""
        lines = self.log().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def plain(self, path: str) -> tuple[int, str]:
        """Status and body of a request to the plain port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.plain_port}{path}", timeout=60) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, sample: str) -> float:
        """The value of one sample, written as Prometheus shows it; 0 where it is not there."""
        _, text = self.plain("/metrics")
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def _ready(self) -> list[dict[str, Any]]:
        return [record for record in self.records() if record["message"] == "ready"]

    def _process_ended(self) -> bool:
        return self.process.poll() is not None


@dataclass
class Answer:
    """An HTTP answer; `body` is parsed where it is JSON."""

    status: int
    body: Any


class WorkerClient:
    """The operator's (or a reader's) side of a worker's HTTPS interface. Use with `async with`."""

    def __init__(self, worker: WorkerProcess, tls: Path, host: str = "127.0.0.1") -> None:
        self._worker = worker
        self._host = host
        self._context = client_context(tls)
        self._session: aiohttp.ClientSession | None = None
        self.term, self.number = 1, 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=60))
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session beneath."""
        assert self._session is not None, "use it with async with"
        return self._session

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"https://{self._host}:{self._worker.api_port}{path}"

    @property
    def tls(self) -> dict[str, Any]:
        """How every request is secured."""
        return {"ssl": self._context, "server_hostname": SERVER_NAME}

    async def request(self, method: str, path: str, document: object = None, **options: Any) -> Answer:
        """One request with a whole answer."""
        data = None if document is None else json.dumps(document).encode()
        async with self.session.request(method, self.url(path), data=data, **self.tls, **options) as response:
            raw = await response.read()
            return Answer(response.status, json.loads(raw) if response.content_type == "application/json" else raw)

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.request("GET", path, **options)

    async def instance(self) -> str:
        """The instance that the worker says it is."""
        return str((await self.get("/v1/info")).body["instance"])

    async def assign(
        self,
        *entries: Entry,
        finalize: Sequence[Finalize] = (),
        fleet: str = "",
        number: int | None = None,
        instance: str | None = None,
    ) -> Answer:
        """PUT the whole set, numbered after the last one."""
        self.number = self.number + 1 if number is None else number
        document = {
            "term": self.term,
            "number": self.number,
            "instance": instance or await self.instance(),
            "entries": [entry.wire() for entry in entries],
            "finalize": [each.wire() for each in finalize],
            "fleet": fleet,
        }
        return await self.request("PUT", "/v1/assignments", document)

    async def events(
        self, after: str | None = None
    ) -> AsyncGenerator[Inventory | JobEvent | Finalized | Heartbeat, None]:
        """The event stream."""
        query = f"?after={after}" if after else ""
        async with self.session.get(self.url(f"/v1/events{query}"), **self.tls) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                yield EVENT_LINE.validate_json(line)

    async def until(
        self,
        uid: str,
        states: Container[JobState],
        seconds: float = 600.0,
        *,
        when_listening: Callable[[], object] = lambda: None,
    ) -> list[JobReport]:
        """Follow the events until the job is in one of the states; every report of it on the way.

        RUNNING counts from the first frame on: before that only the source is being opened. `when_listening` is called
        once the events come: of what it sets off nothing is missed.
        """
        reports: list[JobReport] = []
        async with asyncio.timeout(seconds), aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Inventory):
                    when_listening()
                found = event.reports if isinstance(event, Inventory) else []
                found = [event.report] if isinstance(event, JobEvent) else found
                reports += [report for report in found if report.uid == uid]
                if reports and reports[-1].state in states and not _only_opening(reports[-1]):
                    return reports
        raise AssertionError("the event stream ended")

    async def until_told(self, uid: str, check: Callable[[JobReport], bool], seconds: float = 600.0) -> JobReport:
        """Follow the events until one report of the job passes the check."""
        async with asyncio.timeout(seconds), aclosing(self.events()) as events:
            async for event in events:
                found = event.reports if isinstance(event, Inventory) else []
                found = [event.report] if isinstance(event, JobEvent) else found
                for report in found:
                    if report.uid == uid and check(report):
                        return report
        raise AssertionError("the event stream ended")

    async def log(self, uid: str, query: str = "") -> bytes:
        """All bytes of a job's log until its stream ends."""
        async with asyncio.timeout(120):
            return b"".join([data async for data in self.chunks(uid, query)])

    async def chunks(self, uid: str, query: str = "") -> AsyncGenerator[bytes, None]:
        """The bytes of a job's log as they come."""
        async with self.session.get(self.url(f"/v1/jobs/{uid}/chunks{query}"), **self.tls) as response:
            assert response.status == 200, await response.text()
            async for data in response.content.iter_any():
                yield data


def _only_opening(report: JobReport) -> bool:
    return report.state is JobState.RUNNING and not report.first_frame


def file_job(url: str, uid: str = "job-1", *, epoch: int = 1, run: int = 1, **spec: Any) -> Entry:
    """An entry that detects and tracks people in a recorded file. Its log tells every frame, of a camera too."""
    document = {
        "source": {"url": url},
        "singlePass": True,
        "archiveDetail": "frames",
        "analytics": [
            {"name": "main", "steps": [{"model": "detect", "parameters": {"classes": ["person"]}}, {"model": "track"}]}
        ],
    } | spec
    return Entry(
        uid=uid,
        namespace="default",
        name=f"name-of-{uid}",
        run=run,
        epoch=epoch,
        digest=f"digest-{epoch}",
        spec=JobSpec.model_validate(document),
    )
