"""A log that a gateway's clients listen to is attended at the worker that writes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import CountedCalls, becomes, frames_of, mark, stored_log, terminal, threads_over
from tests.support.archives import write_frames as frames
from tests.support.authority import Authority
from tests.support.gateway import NAMESPACE, JobApi, Served, served_over
from tests.support.gateway_process import Subscriber
from tests.support.log_server import LogServer
from tests.support.programs import free_port
from tests.support.v_tasks import SPEC
from videofleet_api.names import READER_CLIENT_NAME, archive_place, archive_prefix, worker_server_name
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy
from videofleet_gateway import workers
from videofleet_kube.resources import Json

PODS = "api/v1/pods"
POOL_NAMESPACE = "default"
FOR_READERS = SealPolicy(seconds=0.0, unattended_seconds=600.0)
"""As in a bucket: at once while somebody reads along at the worker, and else much later."""


@dataclass
class Worker:
    """One that has the job."""

    writer: LogWriter
    server: LogServer


@dataclass
class Fleet:
    """A gateway, a task, and workers that have it one after the other."""

    api: JobApi
    gateway: Served
    job: Json
    task: str
    threads: StoreThreads
    keys: Authority
    folder: Path
    held: AsyncExitStack
    epoch: int = 0

    @property
    def prefix(self) -> str:
        """Of the task's log."""
        return archive_prefix(NAMESPACE, self.job["metadata"]["uid"], 1, "main")

    async def worker(self) -> Worker:
        """The next one has the job now, and owns its log."""
        self.epoch += 1
        name = f"pool-0-{self.epoch}"
        view = (await see_log(self.threads, self.prefix)).view
        owned = await own_log(view, self.epoch, name, FOR_READERS, CountedCalls())
        assert owned.writer is not None
        self.held.push_async_callback(owned.writer.abandon)
        files = self.keys.issue(self.folder / name, "worker", worker_server_name(POOL_NAMESPACE, name))
        views = {self.job["metadata"]["uid"]: view}
        server = LogServer(views, files, f"127.0.0.{10 + self.epoch}", workers.WORKER_API_PORT)
        await self.held.enter_async_context(server)
        pod = self.api.put(PODS, POOL_NAMESPACE, name, status={"podIP": server.host})
        at = {"name": name, "pool": f"{POOL_NAMESPACE}/pool", "id": pod["metadata"]["uid"], "instance": "x"}
        self.api.tell(self.job, phase="INPROGRESS", run=1, epoch=self.epoch, worker=at)
        return Worker(owned.writer, server)

    def listen(self, count: int) -> tuple[list[Subscriber], list[asyncio.Task[bytes]]]:
        """So many clients of the task's stream, and what each will have got."""
        path, url = f"/v1/video/tasks/{self.task}/stream", self.gateway.url()
        clients = [Subscriber(path, [url]) for _ in range(count)]
        return clients, [asyncio.create_task(client.listen()) for client in clients]

    def log(self) -> bytes:
        """All that is durable."""
        return stored_log(self.threads.store, self.prefix)


@pytest.fixture
async def fleet(api: JobApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    keys = Authority()
    # All workers listen on one port, each at an address of its own.
    monkeypatch.setattr(workers, "WORKER_API_PORT", free_port())
    reader = keys.issue(tmp_path / "reader", READER_CLIENT_NAME)
    async with AsyncExitStack() as held:
        threads = await held.enter_async_context(threads_over(FolderArchive(tmp_path / "archive")))
        gateway = await held.enter_async_context(served_over(api, tmp_path, worker_tls=reader))
        job = api.job("clip", spec=SPEC, status={"phase": "STARTING", "run": 1})
        await becomes(lambda: gateway.gateway.context.jobs.cache.all() != [], "the gateway knows of it")
        (listed,) = (await gateway.client().get("/v1/video/tasks")).json()["data"]
        yield Fleet(api, gateway, job, listed["id"], threads, keys, tmp_path, held)


def have(clients: list[Subscriber], frame: int) -> bool:
    """Whether each has got this frame."""
    return all(frame in frames_of(bytes(client.got)) for client in clients)


@pytest.mark.acceptance("V72")
async def test_what_is_sealed_at_once_only_for_readers_of_the_worker_comes_at_once_through_the_gateway(
    fleet: Fleet,
) -> None:
    worker = await fleet.worker()
    clients, listening = fleet.listen(20)
    for frame in range(5):
        await frames(worker.writer, range(frame, frame + 1))
        await becomes(lambda frame=frame: have(clients, frame), f"all have frame {frame}")
    await worker.writer.finish(terminal(4), mark(4))
    assert set(await asyncio.gather(*listening)) == {fleet.log()}
    # However many listen, the worker is asked once.
    assert [one["analytics"] for one in worker.server.asked] == ["main"]


async def test_a_worker_that_nobody_listens_to_any_more_is_let_go(fleet: Fleet) -> None:
    worker = await fleet.worker()
    _, (listening,) = fleet.listen(1)
    await becomes(lambda: worker.writer.view.readers == 1, "it is attended")
    listening.cancel()
    await becomes(lambda: worker.writer.view.readers == 0, "nobody reads along")


async def test_a_log_is_attended_at_the_worker_that_takes_it_over(fleet: Fleet) -> None:
    first = await fleet.worker()
    clients, listening = fleet.listen(3)
    await frames(first.writer, range(2))
    await becomes(lambda: have(clients, 1), "all have the first results")
    # It dies with what it has not sealed.
    await first.writer.abandon()
    second = await fleet.worker()
    await becomes(lambda: second.server.asked != [], "the next one is asked")
    await frames(second.writer, range(2, 4))
    await becomes(lambda: have(clients, 3), "all have what came after")
    await second.writer.finish(terminal(3), mark(3))
    assert set(await asyncio.gather(*listening)) == {fleet.log()}
    assert frames_of(fleet.log()) == [0, 1, 2, 3]


async def test_what_a_worker_that_cannot_be_reached_has_stored_comes_all_the_same(fleet: Fleet) -> None:
    worker = await fleet.worker()
    await worker.server.stop()
    _, listening = fleet.listen(2)
    await frames(worker.writer, range(3))
    await worker.writer.finish(terminal(2), mark(2))
    assert set(await asyncio.gather(*listening)) == {fleet.log()}
    assert worker.server.asked == []


def test_a_place_in_the_archive_is_read_as_it_is_written() -> None:
    place = archive_place(archive_prefix("team-a", "0a1b", 3, "main"))
    assert (place.namespace, place.uid, place.run, place.analytics) == ("team-a", "0a1b", 3, "main")
