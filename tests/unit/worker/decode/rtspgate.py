"""A gate before a camera that lets through who knows the password (Digest). Each nonce is good for one request."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.request import parse_http_list, parse_keqv_list

REALM = "gate"


@dataclass
class Gate:
    """A running gate. `let`: the methods of the requests that it let through; `expired`: how many nonces were late."""

    port: int = 0
    let: list[str] = field(default_factory=list)
    expired: int = 0


@asynccontextmanager
async def gate(camera: int, user: str, password: str) -> AsyncIterator[Gate]:
    """Before the camera at that port of the loopback address."""
    opened = Gate()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _Passage(opened, reader, writer, user, password).run(camera)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()


class _Passage:
    """One connection."""

    def __init__(
        self, gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str
    ) -> None:
        self._gate = gate
        self._reader = reader
        self._writer = writer
        self._who = _md5(f"{user}:{REALM}:{password}")
        self._nonces = 0

    async def run(self, camera: int) -> None:
        """Until the player hangs up."""
        from_camera, to_camera = await asyncio.open_connection("127.0.0.1", camera)
        back = asyncio.create_task(self._pass_back(from_camera))
        try:
            while True:
                await self._request(to_camera)
        finally:
            back.cancel()
            to_camera.close()

    async def _pass_back(self, from_camera: asyncio.StreamReader) -> None:
        while data := await from_camera.read(65_536):
            self._writer.write(data)

    async def _request(self, to_camera: asyncio.StreamWriter) -> None:
        begin = await self._reader.readexactly(1)
        if begin == b"$":
            # Reports about what was received, between the requests.
            head = await self._reader.readexactly(3)
            to_camera.write(begin + head + await self._reader.readexactly(int.from_bytes(head[1:], "big")))
            return
        request = (begin + await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = request.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method = first.split()[0]
        answer = parse_keqv_list(parse_http_list(fields.get("authorization", "").partition(" ")[2]))
        knows = answer.get("response") == self._expected(method, answer)
        if knows and answer["nonce"] == self._nonce:
            self._nonces += 1
            self._gate.let.append(method)
            to_camera.write(request.encode())
            return
        self._gate.expired += knows
        stale = ", stale=true" if knows else ""
        self._writer.write(
            f"RTSP/1.0 401 Unauthorized\r\nCSeq: {fields['cseq']}\r\n"
            f'WWW-Authenticate: Digest realm="{REALM}", nonce="{self._nonce}"{stale}\r\n\r\n'.encode()
        )

    @property
    def _nonce(self) -> str:
        return f"nonce{self._nonces}"

    def _expected(self, method: str, answer: dict[str, str]) -> str:
        """RFC 2069, as cameras speak it."""
        what = _md5(f"{method}:{answer.get('uri')}")
        return _md5(f"{self._who}:{answer.get('nonce')}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
