"""Streams to look at: what the worker shows of a job is passed on as it comes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from fastapi import WebSocket
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from videofleet_gateway.context import Context
from videofleet_gateway.dialects.f.errors import render
from videofleet_gateway.dialects.f.links import is_good
from videofleet_gateway.errors import GatewayError, not_found
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.workers import View

_GOING_AWAY: Final = 1001
_GOODBYE_SECONDS: Final = 5.0


class Views:
    """`secret` gives what addresses of views are signed with."""

    def __init__(self, context: Context, secret: Callable[[], Awaitable[bytes]]) -> None:
        self._context = context
        self._secret = secret

    async def shot(self, uid: str, token: str = "") -> Response:
        """The current picture of a stream."""
        picture = await self._context.workers.snapshot(await self._job(uid, token))
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def restream(self, socket: WebSocket, uid: str, token: str = "") -> None:
        """The stream as it is analysed, with what was found: a JPEG a message."""
        await self._serve(socket, uid, token, View.LIVE)

    async def direct(self, socket: WebSocket, uid: str, token: str = "") -> None:
        """The stream as its camera sends it."""
        await self._serve(socket, uid, token, View.DIRECT)

    async def _job(self, uid: str, token: str) -> Job:
        job = self._context.jobs.cache.by_uid(uid) if is_good(await self._secret(), uid, token) else None
        if job is None:
            raise not_found("there is no such stream")
        return job

    async def _serve(self, socket: WebSocket, uid: str, token: str, view: View) -> None:
        try:
            job = await self._job(uid, token)
            async with self._context.workers.watch(job, view) as source:
                await socket.accept()
                await self._pass_on(source, socket)
        except GatewayError as error:
            await socket.send_denial_response(render(error))

    async def _pass_on(self, source: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
        """Until one of the two sides ends."""
        sending = asyncio.create_task(self._send(source, socket))
        listening = asyncio.create_task(_until_gone(socket))
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
        left = listening.done()
        for task in (sending, listening):
            task.cancel()
        for result in await asyncio.gather(sending, listening, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | TimeoutError):
                raise result
        if not left:
            with contextlib.suppress(TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await socket.close(_GOING_AWAY)

    async def _send(self, source: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
        async for message in source:
            # One who takes nothing is cut off; before that the worker leaves out what he is too slow for.
            async with asyncio.timeout(self._context.config.send_timeout):
                if message.type is aiohttp.WSMsgType.TEXT:
                    await socket.send_text(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    await socket.send_bytes(message.data)


async def _until_gone(socket: WebSocket) -> None:
    """What a viewer says is of no interest."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
