"""Streams to clients that ask oddly, read slowly, say nothing, or are too many."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import becomes
from tests.support.gateway import KEY, JobApi, Served, served_over
from tests.support.v_tasks import Task, running_task
from videofleet_archive.store import FolderArchive


@dataclass
class Connection:
    """A client's connection, read as little as the test wants."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def ask(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> None:
        """Send a request."""
        lines = [f"{method} {path} HTTP/{version}", "Host: gateway", f"Authorization: Bearer {KEY}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())

    async def head(self) -> str:
        """Of the answer."""
        async with asyncio.timeout(60):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def rest(self) -> bytes:
        """Whatever comes until the connection ends."""
        async with asyncio.timeout(120):
            return await self.reader.read()


@asynccontextmanager
async def connection(
    gateway: Served, receive_bytes: int | None = None, port: str = "v_port"
) -> AsyncIterator[Connection]:
    """One of its own. `receive_bytes`: how little the system is to hold for the client."""
    one = socket.socket()
    if receive_bytes is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", gateway.gateway.ports[port].port))
    limit = 2**16 if receive_bytes is None else receive_bytes
    reader, writer = await asyncio.open_connection(sock=one, limit=limit)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


def path_of(task: Task) -> str:
    """Of its stream."""
    return f"/v1/video/tasks/{task.id}/stream"


def unchunked(body: bytes) -> tuple[bytes, bool]:
    """The content of a body in chunks, as far as it came, and whether it came to its end."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return content, True
        content += body[:length]
        if len(body) < length + 2:
            break
        body = body[length + 2 :]
    return content, False


@pytest.fixture
async def task(api: JobApi, gateway: Served) -> AsyncIterator[Task]:
    """One that runs."""
    async with running_task(api, gateway, FolderArchive(gateway.archive)) as one:
        yield one


@pytest.mark.acceptance("X10")
async def test_clients_of_http_1_0_get_a_stream_that_ends_with_the_connection(task: Task) -> None:
    async with connection(task.gateway) as one:
        one.ask(path_of(task), version="1.0")
        head = await one.head()
        assert "transfer-encoding" not in head.lower()
        await task.frames(*range(20))
        await task.finish(20)
        assert await one.rest() == await task.whole()


@pytest.mark.acceptance("V72")
async def test_one_who_does_not_read_is_cut_off_and_goes_on_where_it_was_while_others_hear_everything(
    api: JobApi, tmp_path: Path
) -> None:
    async with (
        served_over(api, tmp_path, send_timeout=3.0) as gateway,
        running_task(api, gateway, FolderArchive(gateway.archive)) as task,
        connection(gateway, receive_bytes=8192) as slow,
        connection(gateway) as fast,
    ):
        for one in (slow, fast):
            one.ask(path_of(task), "Connection: close")
            await one.head()
        hearing = asyncio.create_task(fast.rest())
        streams = gateway.gateway.context.metrics.open_streams.labels("v")
        for first in range(0, 100_000, 200):
            await task.frames(*range(first, first + 200))
            if streams._value.get() == 1:
                break
        await task.finish(1)
        await becomes(lambda: streams._value.get() == 0, "nobody is left")
        got, ended = unchunked(await slow.rest())
        whole = await task.whole()
        assert not ended
        assert 0 < len(got) < len(whole)
        assert got + await task.whole(f"?offset={len(got)}") == whole
        assert unchunked(await hearing)[0] == whole


@pytest.mark.acceptance("V10")
async def test_a_project_has_so_many_open_streams_and_a_replica_so_many_in_all(api: JobApi, tmp_path: Path) -> None:
    async with (
        served_over(api, tmp_path, v_open_streams=2, max_streams=3) as gateway,
        running_task(api, gateway, FolderArchive(gateway.archive)) as task,
        connection(gateway) as one,
        connection(gateway) as two,
    ):
        client = gateway.client()
        for each in (one, two):
            each.ask(path_of(task))
            await each.head()
        refused = await client.get(path_of(task))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        # Whoever leaves makes room.
        one.writer.transport.abort()
        streams = gateway.gateway.context.metrics.open_streams.labels("v")
        await becomes(lambda: streams._value.get() == 1, "one has left")
        async with connection(gateway) as three:
            three.ask(path_of(task))
            assert (await three.head()).startswith("HTTP/1.1 200")


async def test_a_replica_has_so_many_open_streams(api: JobApi, tmp_path: Path) -> None:
    async with (
        served_over(api, tmp_path, max_streams=1) as gateway,
        running_task(api, gateway, FolderArchive(gateway.archive)) as task,
        connection(gateway) as one,
    ):
        one.ask(path_of(task))
        await one.head()
        refused = await gateway.client().get(path_of(task))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
        assert refused.headers["retry-after"] == "1"


SHAPES = {"v_port": {"error": {"code", "message"}}, "f_port": {"code", "desc"}}
"""Of errors: what each dialect calls their parts."""


def shape(document: dict[str, Any]) -> dict[str, set[str]] | set[str]:
    """Of an error."""
    inner = document.get("error")
    return {"error": set(inner)} if isinstance(inner, dict) else set(document)


@pytest.mark.acceptance("X6", "F70")
@pytest.mark.parametrize("port", SHAPES)
async def test_connections_beyond_the_limit_are_turned_away(api: JobApi, tmp_path: Path, port: str) -> None:
    async with (
        served_over(api, tmp_path, max_connections=2) as gateway,
        connection(gateway),
        connection(gateway),
        connection(gateway, port=port) as third,
    ):
        head = (await third.head()).lower()
        assert head.startswith("http/1.1 503")
        assert "retry-after: 1\r\n" in head
        assert shape(json.loads(await third.rest())) == SHAPES[port]


@pytest.mark.acceptance("X6", "F70", "F76", "V104")
@pytest.mark.parametrize("port", SHAPES)
@pytest.mark.parametrize("text", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"])
async def test_what_is_no_request_at_all_is_told_in_the_dialects_shape(gateway: Served, port: str, text: bytes) -> None:
    async with connection(gateway, port=port) as one:
        one.writer.write(text)
        head = (await one.head()).lower()
        assert head.startswith("http/1.1 400")
        assert "access-control-allow-origin: *" in head
        assert shape(json.loads(await one.rest())) == SHAPES[port]


async def test_a_connection_that_asks_for_nothing_is_ended(gateway: Served) -> None:
    gateway.gateway.connections.head_seconds = 0.1
    async with connection(gateway) as silent, connection(gateway) as slow:
        slow.writer.write(b"GET /v1/video/tasks HTTP/1.1\r\nHost:")
        assert await silent.rest() == b""
        assert await slow.rest() == b""


async def test_a_connection_whose_next_request_does_not_come_whole_is_ended(gateway: Served) -> None:
    async with connection(gateway) as one:
        one.ask("/v1/nothing", "Accept: */*")
        assert (await one.head()).startswith("HTTP/1.1 404")
        gateway.gateway.connections.head_seconds = 0.1
        one.writer.write(b"GET /v1/video/tasks HTTP/1.1\r\nHost:")
        assert b"HTTP/1.1" not in await one.rest()


@pytest.mark.acceptance("X6")
@pytest.mark.parametrize(("port", "path"), [("v_port", "/v1/video/process"), ("f_port", "/job/cam-1")])
async def test_a_body_that_does_not_come_is_not_waited_for(api: JobApi, tmp_path: Path, port: str, path: str) -> None:
    async with served_over(api, tmp_path, send_timeout=0.3) as gateway, connection(gateway, port=port) as one:
        one.ask(path, "Content-Type: application/json", "Content-Length: 100", method="POST")
        one.writer.write(b'{"input"')
        head = await one.head()
        assert head.startswith("HTTP/1.1 408")
        gateway.gateway.connections.head_seconds = 0.1
        one.writer.write(b":")
        assert shape(json.loads(await one.rest())) == SHAPES[port]
    assert api.jobs() == []
