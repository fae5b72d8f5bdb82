"""The wire between one client and the API server, which a test can hold: nothing passes, nothing is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_PIECE = 65536


class Wire:
    """Forwards connections to an address. What is on its way when it is held arrives when it is released."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def hold(self) -> None:
        """Let nothing pass from now on."""
        self._open.clear()

    def release(self) -> None:
        """Let everything pass again, what waited first."""
        self._open.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side closes it."""
        self._writers.add(writer)
        with suppress(OSError):
            there, back = await asyncio.open_connection(*self._to)
            self._writers.add(back)
            await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()

    def close(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def wire_to(kubeconfig: Path, folder: Path) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the API server of a kubeconfig, and the path of one that goes through it."""
    address = urlsplit(_server(kubeconfig))
    wire = Wire(address.hostname or "", address.port or 443)
    listening = await asyncio.start_server(wire.take, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield wire, _copy(kubeconfig, folder, f"https://127.0.0.1:{port}")
    finally:
        listening.close()
        wire.release()
        wire.close()


def _server(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"])


def _copy(kubeconfig: Path, folder: Path, server: str) -> str:
    """A copy of the kubeconfig with another address of the same server."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = server
    copy = folder / "through-the-wire.kubeconfig"
    copy.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(copy)
