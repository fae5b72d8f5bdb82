"""A task of V whose results a test writes, as a worker does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.archives import AT_ONCE, CountedCalls, becomes, chunk, mark, terminal, threads_over
from tests.support.gateway import KEY, NAMESPACE, JobApi, Served
from tests.support.sse_clients import curl
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import Store
from videofleet_archive.writer import LogWriter

SPEC = {
    "source": {"url": "https://example.com/clip.mp4"},
    "singlePass": True,
    "analytics": [{"name": "main", "steps": [{"model": "detect"}, {"model": "track"}]}],
}


@asynccontextmanager
async def writing(store: Store, uid: str) -> AsyncIterator[LogWriter]:
    """The log of a job's first run, owned by a worker."""
    async with threads_over(store) as threads:
        view = (await see_log(threads, f"{NAMESPACE}/{uid}/1/main")).view
        owned = await own_log(view, 1, "worker", AT_ONCE, CountedCalls())
        assert owned.writer is not None
        yield owned.writer
        await owned.writer.abandon()


@dataclass
class Task:
    """A task, and what writes its results."""

    gateway: Served
    id: str
    writer: LogWriter

    def url(self, origin: str | None = None) -> str:
        """Of its stream."""
        return f"{origin or self.gateway.url()}/v1/video/tasks/{self.id}/stream"

    async def frames(self, *frames: int) -> None:
        """What a worker does with each frame."""
        for frame in frames:
            await self.writer.append(chunk(frame, (1, 2)), mark(frame))

    async def finish(self, frames: int) -> None:
        """The end of the source, after so many frames."""
        await self.writer.finish(terminal(frames), mark(frames))

    async def whole(self, query: str = "") -> bytes:
        """The log, as curl gets it."""
        return await curl("-N", self.url() + query, "-H", f"Authorization: Bearer {KEY}")


@asynccontextmanager
async def running_task(api: JobApi, gateway: Served, store: Store) -> AsyncIterator[Task]:
    """One that runs and has no results yet."""
    status = {"phase": "INPROGRESS", "run": 1, "epoch": 1, "firstFrameTime": "2026-01-01T00:00:00Z"}
    uid = api.job("clip", spec=SPEC, status=status)["metadata"]["uid"]
    await becomes(lambda: gateway.gateway.context.jobs.cache.in_namespace(NAMESPACE) != [], "the gateway knows of it")
    (listed,) = (await gateway.client().get("/v1/video/tasks")).json()["data"]
    async with writing(store, uid) as writer:
        yield Task(gateway, listed["id"], writer)
