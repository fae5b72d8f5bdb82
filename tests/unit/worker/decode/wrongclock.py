"""Stands between an RTSP camera and who watches it over TCP, and sets the clock in the camera's RTCP reports."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_SENDER_REPORT = 200
_INTERLEAVED = b"$"


@asynccontextmanager
async def held_back(port: int, seconds: float) -> AsyncIterator[int]:
    """The port of a camera whose pictures pile up for so long before the first comes; then they come as they are."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        await asyncio.gather(_asked(reader, behind_writer), _told_late(behind_reader, writer, seconds))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as front:
        yield front.sockets[0].getsockname()[1]


async def _told_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        # The dialogue, up to the first packet.
        while (first := await reader.readexactly(1)) != _INTERLEAVED:
            writer.write(first + await _answer(reader))
        await asyncio.sleep(seconds)
        writer.write(first)
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def clock_set(port: int, seconds: int) -> AsyncIterator[int]:
    """The port of a camera whose clock is ahead of that behind `port`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_asked(reader, behind_writer), _told(behind_reader, writer, seconds))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as front:
        yield front.sockets[0].getsockname()[1]


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: int) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while first := await reader.read(1):
            writer.write(first + (await _packet(reader, seconds) if first == _INTERLEAVED else await _answer(reader)))
            await writer.drain()
    writer.close()


async def _packet(reader: asyncio.StreamReader, seconds: int) -> bytes:
    head = await reader.readexactly(3)
    data = bytearray(await reader.readexactly(struct.unpack(">xH", head)[0]))
    if data[1] == _SENDER_REPORT:
        struct.pack_into(">I", data, 8, struct.unpack_from(">I", data, 8)[0] + seconds)
    return head + data


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """An answer of the RTSP dialogue, but for its first byte."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0])) if lengths else b"")
