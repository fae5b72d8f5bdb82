"""What stands before every dialect's application: request ids, CORS, limits, errors in the dialect's own shape."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from videofleet_gateway import logs
from videofleet_gateway.config import Config
from videofleet_gateway.errors import Failure, GatewayError, Render
from videofleet_gateway.metrics import Metrics
from videofleet_gateway.results.wire import WIRE
from videofleet_gateway.serving.cors import Cors

_log: Final = logging.getLogger(__name__)
_ID: Final = re.compile(r"[A-Za-z0-9_.:,-]{1,128}")
REQUEST_ID: Final = "X-Request-Id"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEAD: Final = "videofleet.head"
"""In the scope of a request: only the head of the answer is wanted."""


@dataclass(slots=True)
class Crowd:
    """How many requests are open, over all dialects of this process."""

    limit: int
    open: int = 0


@dataclass(slots=True)
class Door:
    """An ASGI application around a dialect's. `render` gives errors the dialect's shape."""

    app: ASGIApp
    dialect: str
    render: Render
    config: Config
    metrics: Metrics
    crowd: Crowd
    cors: Cors | None = None
    body_limit: Callable[[Scope], int] | None = None
    """Bytes that the body of a request may have; without it the usual."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass anything else on."""
        if scope["type"] == "websocket":
            await self._watched(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = Visit(self, scope, receive, send)
        token = logs.request_id.set(visit.id)
        self.crowd.open += 1
        try:
            with self.metrics.open_requests.labels(self.dialect).track_inprogress():
                await visit.run()
        finally:
            self.crowd.open -= 1
            logs.request_id.reset(token)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket, which counts as an open request for as long as it is there."""
        if self.crowd.open >= self.crowd.limit:
            await WebSocket(scope, receive, send).send_denial_response(rendered(self.render, _crowded()))
            return
        self.crowd.open += 1
        try:
            with self.metrics.open_streams.labels(self.dialect).track_inprogress():
                await self.app(scope, receive, send)
        finally:
            self.crowd.open -= 1


class Visit:
    """One request on its way in and its answer on its way out."""

    def __init__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        self.id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        self._door = door
        self._head_only = scope["method"] == "HEAD"
        # Wherever there is a GET there is a HEAD.
        self._scope = {**scope, "method": "GET", HEAD: True} if self._head_only else scope
        self._method = scope["method"]
        self._headers = headers
        self._receive = receive
        self._send = send
        self._limit = (door.body_limit or (lambda _: door.config.max_body_bytes))(scope)
        self._taken = 0
        self._came_whole = False
        self._started = False
        self._began = time.monotonic()

    async def run(self) -> None:
        """Answer, whatever happens."""
        try:
            preflight = self._door.cors and self._door.cors.preflight(self._method, self._headers)
            if preflight:
                await self._answer(preflight)
                return
            self._check()
            await self._door.app(self._scope, self._receive_some, self._send_on)
        except GatewayError as error:
            await self._fail(error)
        except TimeoutError:
            # An unfinished answer: the client knows how much of it it has.
            _log.info("a client does not read what it is sent")
            if WIRE in self._scope:
                self._scope[WIRE].cut()
                # Its server is to learn that first: else it reports an answer that was forgotten.
                await asyncio.sleep(0)
        except Exception:  # noqa: BLE001 - it is logged, and the client told as the dialect tells errors
            _log.exception("a request failed", extra={"path": self._scope["path"]})
            await self._fail(GatewayError(Failure.INTERNAL, "something went wrong here; it is in the gateway's log"))

    def _check(self) -> None:
        if self._door.crowd.open > self._door.crowd.limit:
            raise _crowded()
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            # Before any of it is read, so that a client that waits for a 100 does not send it.
            raise self._too_large()

    def _too_large(self) -> GatewayError:
        return GatewayError(Failure.TOO_LARGE, f"the body is larger than {self._limit} bytes")

    async def _receive_some(self) -> Message:
        message = await (self._receive() if self._came_whole else self._receive_soon())
        self._came_whole = not message.get("more_body", False)
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
            if self._taken > self._limit:
                raise self._too_large()
        return message

    async def _receive_soon(self) -> Message:
        """A further piece of the body, of which the client may not leave us waiting for ever."""
        seconds = self._door.config.send_timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._receive()
        except TimeoutError:
            raise GatewayError(Failure.TOO_SLOW, f"nothing of the body came for {seconds:g} seconds") from None

    async def _send_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._write_head(message)
        elif self._head_only:
            message = {**message, "body": b""}
        async with asyncio.timeout(self._door.config.send_timeout):
            await self._send(message)

    def _write_head(self, message: Message) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        headers[REQUEST_ID] = self.id
        headers.setdefault("Cache-Control", "no-store")
        if self._door.cors is not None:
            self._door.cors.mark(self._headers, headers)
        metrics, dialect = self._door.metrics, self._door.dialect
        # Clients may call a method what they like, and each name would be kept for ever.
        method = self._method if self._method in _METHODS else "other"
        metrics.requests.labels(dialect, method, str(message["status"])).inc()
        metrics.seconds.labels(dialect, method).observe(time.monotonic() - self._began)

    async def _fail(self, error: GatewayError) -> None:
        if self._started:
            # Too late for an answer: the client sees a stream that breaks off.
            return
        await self._answer(rendered(self._door.render, error))

    async def _answer(self, response: Response) -> None:
        await response(self._scope, self._receive, self._send_on)


def _crowded() -> GatewayError:
    return GatewayError(Failure.UNAVAILABLE, "the gateway serves too many requests now", retry_after=1)


def rendered(render: Render, error: GatewayError) -> Response:
    """The answer that tells an error, with what the error itself says in headers."""
    response = render(error)
    for name, value in error.headers.items():
        response.headers[name] = value
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, -int(-error.retry_after // 1)))
    return response
