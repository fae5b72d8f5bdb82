"""JSON packed with gzip, for clients that ask for it. Streams and files are never touched."""

import asyncio
import gzip
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SMALLEST: Final = 1024
"""Bytes from which on it is worth it."""
_LEVEL: Final = 1
"""A list of jobs gets seven times smaller already, and a higher level costs more time than it saves bytes."""
_JSON: Final = "application/json"


class Packing:
    """An application whose answers in JSON can be had smaller."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(send, asked=asks_for_gzip(Headers(scope=scope))).send)


class _Answer:
    """One answer on its way out; its head is held back until it is known how long its body becomes."""

    def __init__(self, send: Send, *, asked: bool) -> None:
        self._send = send
        self._asked = asked
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and Headers(raw=message["headers"]).get("content-type") == _JSON:
            self._head = message
            return
        if self._head is not None:
            head, self._head = self._head, None
            message = await self._finished(head, message)
            await self._send(head)
        await self._send(message)

    async def _finished(self, head: Message, body: Message) -> Message:
        headers = MutableHeaders(raw=head["headers"])
        headers.add_vary_header("Accept-Encoding")
        text = body.get("body", b"")
        if not self._asked or body.get("more_body", False) or len(text) < _SMALLEST:
            return body
        packed = await asyncio.to_thread(gzip.compress, text, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(packed))
        return {**body, "body": packed}


def asks_for_gzip(headers: Headers) -> bool:
    """Whether the client names it, and not to say that it does not want it (RFC 9110, 12.5.3)."""
    for each in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
