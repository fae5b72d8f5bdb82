"""Clients of server-sent events that others wrote, each as a function from a stream's address to its events.

Each goes on until `[DONE]`. Those of JavaScript reconnect by themselves; of the others that is no part.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import sseclient

DONE = "[DONE]"
SCRIPT = Path(__file__).parent / "jsclients/follow.mjs"


@dataclass(frozen=True)
class Heard:
    """An event as a client gave it to its program."""

    id: str
    data: str

    @property
    def document(self) -> dict[str, Any]:
        """What was in it."""
        found: dict[str, Any] = json.loads(self.data)
        return found


@dataclass
class RefusedError(Exception):
    """The client was answered with another status than 200."""

    status: int


Client = Callable[[str, str, str | None], Coroutine[Any, Any, list[Heard]]]
"""Address, key, id of the last event that was had (None: from the beginning)."""


def headers_of(key: str, last: str | None) -> dict[str, str]:
    """Headers of a request for a stream."""
    return {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last} if last is not None else {})


async def by_httpx_sse(url: str, key: str, last: str | None = None) -> list[Heard]:
    """The package httpx-sse."""
    heard: list[Heard] = []
    async with (
        httpx.AsyncClient(timeout=120) as client,
        httpx_sse.aconnect_sse(client, "GET", url, headers=headers_of(key, last)) as source,
    ):
        if source.response.status_code != 200:
            raise RefusedError(source.response.status_code)
        async for event in source.aiter_sse():
            heard.append(Heard(event.id, event.data))
            if event.data == DONE:
                break
    return heard


async def by_sseclient(url: str, key: str, last: str | None = None) -> list[Heard]:
    """The package sseclient-py."""
    return await asyncio.to_thread(_by_sseclient, url, key, last)


def _by_sseclient(url: str, key: str, last: str | None) -> list[Heard]:
    heard: list[Heard] = []
    with httpx.stream("GET", url, headers=headers_of(key, last), timeout=120) as response:
        if response.status_code != 200:
            raise RefusedError(response.status_code)
        for event in sseclient.SSEClient(response.iter_bytes()).events():
            heard.append(Heard(event.id or "", event.data))
            if event.data == DONE:
                break
    return heard


async def by_eventsource(url: str, key: str, last: str | None = None) -> list[Heard]:
    """The npm package eventsource, which does as a browser does."""
    return await _by_script("eventsource", url, key, last)


async def by_fetch_event_source(url: str, key: str, last: str | None = None) -> list[Heard]:
    """The npm package @microsoft/fetch-event-source."""
    return await _by_script("fetch-event-source", url, key, last)


async def _by_script(client: str, url: str, key: str, last: str | None) -> list[Heard]:
    async with following(client, url, key, last) as events:
        return [event async for event in events]


@asynccontextmanager
async def following(client: str, url: str, key: str, last: str | None = None) -> AsyncIterator[AsyncIterator[Heard]]:
    """Events as a client in JavaScript hears them, while it goes on."""
    arguments = [str(SCRIPT), client, url, key, *([last] if last is not None else [])]
    process = await asyncio.create_subprocess_exec(
        "node", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**24
    )
    try:
        yield _lines(process)
    finally:
        # It ends with its input; whoever broke off need not look for it.
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[Heard]:
    assert process.stdout is not None
    async for line in process.stdout:
        document = json.loads(line)
        if "status" in document:
            raise RefusedError(document["status"])
        yield Heard(document["id"], document["data"])


ALL: dict[str, Client] = {
    "httpx-sse": by_httpx_sse,
    "sseclient-py": by_sseclient,
    "eventsource": by_eventsource,
    "fetch-event-source": by_fetch_event_source,
}
RECONNECTING = ("eventsource", "fetch-event-source")


async def curl(*arguments: str, limit: float = 120) -> bytes:
    """What curl prints; AssertionError with what it said where it ends with an error."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--max-time", str(limit), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return out
