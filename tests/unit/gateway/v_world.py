"""What tests of V have in common: requests, a worker's log, what the operator says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.support.archives import AT_ONCE, CountedCalls, chunk, mark, terminal
from tests.support.gateway import JobApi, Served
from videofleet_api.names import archive_prefix
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy
from videofleet_kube.resources import Json

PROCESS = "/v1/video/process"
TASKS = "/v1/video/tasks"
URL = "https://example.com/clip.mp4"


def request(video: Json | None = None, steps: list[Json] | None = None, **more: Any) -> Json:
    """A request as the reference prints it."""
    return {
        "input": [{"type": "video_url", "url": URL, **(video or {})}],
        "steps": steps if steps is not None else [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}],
        **more,
    }


async def submitted(client: httpx.AsyncClient, **given: Any) -> str:
    """The id of a new task."""
    answer = await client.post(PROCESS, json=request(**given))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job_of(api: JobApi, task: str) -> Json:
    """The VideoJob of a task."""
    (found,) = [one for one in api.jobs() if one["metadata"]["annotations"].get("videofleet.io/v-id") == task]
    return found


class WorkersLog:
    """The log of a job, written as a worker does. A context manager."""

    def __init__(self, served: Served, job: Json, run: int = 1, policy: SealPolicy = AT_ONCE) -> None:
        metadata = job["metadata"]
        self._policy = policy
        self.prefix = archive_prefix(metadata["namespace"], metadata["uid"], run, "main")
        self._executor = ThreadPoolExecutor(2)
        self.threads = StoreThreads(FolderArchive(served.archive), self._executor)
        self.writer: LogWriter | None = None

    async def __aenter__(self) -> WorkersLog:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.writer is not None:
            await self.writer.abandon()
        self._executor.shutdown()

    async def begin(self, epoch: int = 1) -> None:
        """Own the log."""
        view = (await see_log(self.threads, self.prefix)).view
        opened = await own_log(view, epoch, f"worker-{epoch}", self._policy, CountedCalls())
        assert opened.writer is not None
        self.writer = opened.writer

    async def frames(self, *numbers: int) -> bytes:
        """Results of these frames, durable; the whole log until then."""
        if self.writer is None:
            await self.begin()
        assert self.writer is not None
        end = self.writer.view.extent.end
        for number in numbers:
            await self.writer.append(chunk(number, (1,)), mark(number, 1))
        async with asyncio.timeout(60):
            async for _ in self.writer.view.read(end):
                if self.written.count(b'"finish_reason"') >= len(numbers):
                    break
        return self.written

    async def finish(self, last: int, reason: str = "stop") -> bytes:
        """The end of the log, and all of it."""
        assert self.writer is not None
        await self.writer.finish(terminal(last, reason), mark(last, 1))
        self.writer = None
        return self.written

    @property
    def written(self) -> bytes:
        """All that is durable."""
        folder = self.threads.store._folder / self.prefix / "chunks"
        return b"".join(path.read_bytes() for path in sorted(folder.iterdir())) if folder.is_dir() else b""


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = 60.0) -> Any:
    """The first answer of `check` that is true; AssertionError with the last one in the end."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; last seen: {answer!r}"
        await asyncio.sleep(0.02)


async def until_status(client: httpx.AsyncClient, task: str, status: str, seconds: float = 60.0) -> Json:
    """The task once it has this status."""

    async def check() -> Json | None:
        shown: Json = (await client.get(f"{TASKS}/{task}")).json()
        return shown if shown["status"] == status else None

    return dict(await until(check, f"{task} is {status}", seconds))


def documents(data: bytes) -> list[Any]:
    """The data of every event, [DONE] as a string."""
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) if line != b"[DONE]" else "[DONE]" for line in lines]
