"""Connections to workers hold little memory while they are quiet."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from asyncio.sslproto import SSLProtocol
from pathlib import Path

import pytest

from tests.unit.operator.services.conftest import NOW
from videofleet_api.names import worker_server_name
from videofleet_kube import tls_buffers
from videofleet_operator.services import pki

CONNECTIONS = 8
LARGE = b"v" * 1_000_000
NAME = worker_server_name("video", "pool-0-0")


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that it is as it was for every other test.
    monkeypatch.setattr(SSLProtocol, "max_size", SSLProtocol.max_size)
    tls_buffers.shrink()


@pytest.mark.usefixtures("shrunk")
async def test_quiet_connections_are_small_and_large_answers_still_come(authority: pki.KeyPair, tmp_path: Path) -> None:
    pair = pki.issue_server(authority, NAME, NOW)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    asking = ssl.create_default_context(cadata=authority.certificate.decode())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(LARGE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    tracemalloc.start()
    try:
        opened = [
            await asyncio.open_connection("127.0.0.1", port, ssl=asking, server_hostname=NAME)
            for _ in range(CONNECTIONS)
        ]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of each connection both ends are here.
    assert held / CONNECTIONS < 2 * 64 * 1024
    for reader, writer in opened:
        writer.write(b"more\n")
        assert await reader.read() == LARGE
        writer.close()
    server.close()
    await server.wait_closed()
