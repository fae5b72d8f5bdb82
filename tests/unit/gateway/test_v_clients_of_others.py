"""Clients that others wrote read streams of V: while they are written, from the middle, over ways that break."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import AT_ONCE, CountedCalls, becomes, chunk, mark, terminal, threads_over
from tests.support.cutting import cutting
from tests.support.gateway import KEY, NAMESPACE, JobApi, Served
from tests.support.sse_clients import ALL, DONE, RECONNECTING, Client, Heard, RefusedError, curl
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import FolderArchive
from videofleet_archive.writer import LogWriter

SPEC = {
    "source": {"url": "https://example.com/clip.mp4"},
    "singlePass": True,
    "analytics": [{"name": "main", "steps": [{"model": "detect"}, {"model": "track"}]}],
}
FRAMES = 60


@dataclass
class Task:
    """A task whose results a test writes."""

    gateway: Served
    id: str
    writer: LogWriter
    prefix: str

    def url(self, origin: str | None = None) -> str:
        """Of its stream."""
        return f"{origin or self.gateway.url()}/v1/video/tasks/{self.id}/stream"

    async def frames(self, *frames: int) -> None:
        """What a worker does with each frame."""
        for frame in frames:
            await self.writer.append(chunk(frame, (1, 2)), mark(frame))

    async def finish(self) -> None:
        """The end of the source."""
        await self.writer.finish(terminal(FRAMES), mark(FRAMES))

    async def whole(self) -> bytes:
        """The log, as curl gets it."""
        return await curl("-N", self.url(), "-H", f"Authorization: Bearer {KEY}")


@pytest.fixture
async def task(api: JobApi, gateway: Served) -> AsyncIterator[Task]:
    """One that runs and has no results yet."""
    status = {"phase": "INPROGRESS", "run": 1, "epoch": 1, "firstFrameTime": "2026-01-01T00:00:00Z"}
    uid = api.job("clip", spec=SPEC, status=status)["metadata"]["uid"]
    await becomes(lambda: gateway.gateway.context.jobs.cache.in_namespace(NAMESPACE) != [], "the gateway knows of it")
    (listed,) = (await gateway.client().get("/v1/video/tasks")).json()["data"]
    prefix = f"{NAMESPACE}/{uid}/1/main"
    async with threads_over(FolderArchive(gateway.archive)) as threads:
        view = (await see_log(threads, prefix)).view
        owned = await own_log(view, 1, "worker", AT_ONCE, CountedCalls())
        assert owned.writer is not None
        yield Task(gateway, listed["id"], owned.writer, prefix)
        await owned.writer.abandon()


def told(heard: list[Heard]) -> list[int | None]:
    """The frame of each event; None: the last chunk, and the mark of the end."""
    documents = [event.document if event.data != DONE else {"finish_reason": DONE} for event in heard]
    return [one["stream_info"]["frame_index"] if one["finish_reason"] is None else None for one in documents]


WHOLE = [*range(FRAMES), None, None]


@pytest.mark.acceptance("V3", "V20", "V49", "V50", "V65", "V70")
@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
async def test_each_hears_every_frame_once_of_a_stream_that_begins_while_it_listens(task: Task, client: Client) -> None:
    listening = asyncio.create_task(client(task.url(), KEY, None))
    for frame in range(FRAMES):
        await task.frames(frame)
    await task.finish()
    assert told(await listening) == WHOLE


@pytest.mark.acceptance("V68", "A10")
@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
async def test_each_goes_on_behind_the_last_id_that_it_had(task: Task, client: Client) -> None:
    await task.frames(*range(FRAMES))
    await task.finish()
    whole = await client(task.url(), KEY, None)
    assert told(whole) == WHOLE
    assert await client(task.url(), KEY, whole[FRAMES // 2].id) == whole[FRAMES // 2 + 1 :]


@pytest.mark.acceptance("V70", "A10")
@pytest.mark.parametrize("name", RECONNECTING)
async def test_those_that_connect_again_lose_and_double_nothing_wherever_the_way_breaks(task: Task, name: str) -> None:
    port = task.gateway.gateway.ports["v_port"].port
    # Nowhere between the last two bytes of an event: there fetch-event-source has its id and has not told of it.
    async with cutting(port, [700, 5003]) as way:
        listening = asyncio.create_task(ALL[name](task.url(way.url("")), KEY, None))
        await task.frames(*range(FRAMES))
        await task.finish()
        heard = await listening
        assert len(way.requests) == 3
    assert told(heard) == WHOLE


@pytest.mark.acceptance("V72")
async def test_what_was_read_before_a_break_and_after_it_is_the_whole_to_the_byte(task: Task) -> None:
    await task.frames(*range(FRAMES))
    await task.finish()
    whole = await task.whole()
    for offset in (1, 100, len(whole) // 2, len(whole) - 1):
        rest = await curl("-N", f"{task.url()}?offset={offset}", "-H", f"Authorization: Bearer {KEY}")
        assert whole[:offset] + rest == whole


@pytest.mark.acceptance("A13")
async def test_an_eventsource_that_has_everything_stops(task: Task) -> None:
    await task.frames(0)
    await task.finish()
    whole = await ALL["eventsource"](task.url(), KEY, None)
    with pytest.raises(RefusedError) as refused:
        await ALL["eventsource"](task.url(), KEY, whole[-1].id)
    assert refused.value.status == 204


@pytest.mark.acceptance("V8")
@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
async def test_a_wrong_key_is_told_to_each(task: Task, client: Client) -> None:
    with pytest.raises(RefusedError) as refused:
        await client(task.url(), "wrong", None)
    assert refused.value.status == 401


QUICK_START = Path(__file__).parent / "quick-start.sh"
"""The three commands of the reference, as it prints them."""


@pytest.mark.acceptance("V11", "V21", "V22", "V40", "V92")
async def test_the_commands_of_the_quick_start_work_as_printed(api: JobApi, gateway: Served) -> None:
    commands = QUICK_START.read_text().replace("https://api.visowork.com", gateway.url()).split("\n\n")
    created = json.loads(await shell(commands[0]))
    assert created["status"] == "pending"
    assert created["id"].startswith("vt_")
    assert created["stream_url"] == f"/v1/video/tasks/{created['id']}/stream"
    stream, results = (command.replace("vt_01HZ...", created["id"]) for command in commands[1:])
    (job,) = api.jobs()
    assert json.loads(await shell(results))["error"]["code"] == "not_ready"
    listening = asyncio.create_task(shell(stream))
    async with threads_over(FolderArchive(gateway.archive)) as threads:
        view = (await see_log(threads, f"{NAMESPACE}/{job['metadata']['uid']}/1/main")).view
        owned = await own_log(view, 1, "worker", AT_ONCE, CountedCalls())
        assert owned.writer is not None
        api.tell(job, phase="INPROGRESS", run=1, epoch=1)
        await owned.writer.append(chunk(0, (1,)), mark(0))
        await owned.writer.finish(terminal(1), mark(1))
    assert b"\ndata: [DONE]\n" in await listening
    found = json.loads(await shell(results))
    assert (found["id"], found["object"]) == (created["id"], "mm.pipeline.result")
    assert [track["track_id"] for track in found["tracks"]] == [1]


async def shell(command: str) -> bytes:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        env={"PATH": "/usr/bin:/bin", "VISOWORK_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out
