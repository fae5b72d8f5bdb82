"""Clients that others wrote read streams of V: while they are written, from the middle, over ways that break."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.archives import chunk, mark, terminal
from tests.support.cutting import cutting
from tests.support.gateway import KEY, JobApi, Served
from tests.support.sse_clients import ALL, DONE, RECONNECTING, Client, Heard, RefusedError
from tests.support.v_tasks import Task, running_task, writing
from videofleet_archive.store import FolderArchive

FRAMES = 60


@pytest.fixture
async def task(api: JobApi, gateway: Served) -> AsyncIterator[Task]:
    async with running_task(api, gateway, FolderArchive(gateway.archive)) as one:
        yield one


def told(heard: list[Heard]) -> list[int | None]:
    """The frame of each event; None: the last chunk, and the mark of the end."""
    documents = [event.document for event in heard if event.data != DONE]
    frames = [one["stream_info"]["frame_index"] if one["finish_reason"] is None else None for one in documents]
    return [*frames, *(None for event in heard if event.data == DONE)]


WHOLE = [*range(FRAMES), None, None]


@pytest.mark.acceptance("V3", "V20", "V49", "V50", "V65", "V70")
@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
async def test_each_hears_every_frame_once_of_a_stream_that_begins_while_it_listens(task: Task, client: Client) -> None:
    listening = asyncio.create_task(client(task.url(), KEY, None))
    for frame in range(FRAMES):
        await task.frames(frame)
    await task.finish(FRAMES)
    assert told(await listening) == WHOLE


@pytest.mark.acceptance("V68", "A10")
@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
async def test_each_goes_on_behind_the_last_id_that_it_had(task: Task, client: Client) -> None:
    await task.frames(*range(FRAMES))
    await task.finish(FRAMES)
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
        await task.finish(FRAMES)
        heard = await listening
        assert len(way.requests) == 3
    assert told(heard) == WHOLE


@pytest.mark.acceptance("V69", "V72")
async def test_what_was_read_before_a_break_and_after_it_is_the_whole_to_the_byte(task: Task) -> None:
    await task.frames(*range(FRAMES))
    await task.finish(FRAMES)
    whole = await task.whole()
    for offset in (1, 100, len(whole) // 2, len(whole) - 1):
        assert whole[:offset] + await task.whole(f"?offset={offset}") == whole


@pytest.mark.acceptance("A13")
async def test_an_eventsource_that_has_everything_stops(task: Task) -> None:
    await task.frames(0)
    await task.finish(FRAMES)
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
    async with writing(FolderArchive(gateway.archive), job["metadata"]["uid"]) as writer:
        api.tell(job, phase="INPROGRESS", run=1, epoch=1)
        await writer.append(chunk(0, (1,)), mark(0))
        await writer.finish(terminal(1), mark(1))
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
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out
