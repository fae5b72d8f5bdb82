"""Pictures of streams, as their workers give them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp
from starlette.responses import Response, StreamingResponse

from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.workers import View

_BOUNDARY: Final = "picture"
_FIRST_WITHIN: Final = 10.0
"""Seconds in which there has to be a picture."""


async def snapshot(context: Context, job: Job) -> Response:
    """The current one."""
    return Response(await context.workers.snapshot(job), media_type="image/jpeg")


async def live(context: Context, job: Job) -> Response:
    """One after the other, for as long as somebody looks: what an <img> shows by itself."""
    pictures = _pictures(context, job)
    try:
        async with asyncio.timeout(_FIRST_WITHIN):
            first = await anext(pictures, None)
    except TimeoutError:
        first = None
    if first is None:
        await pictures.aclose()
        raise GatewayError(Failure.NOT_READY, "there is no picture of the stream yet", retry_after=1)
    return StreamingResponse(_parts(first, pictures), media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")


async def _parts(first: bytes, pictures: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield f"--{_BOUNDARY}\r\n".encode() + _part(first)
    async for picture in pictures:
        yield _part(picture)


def _part(picture: bytes) -> bytes:
    """Ends with the boundary: a browser shows a picture when it has seen what is behind it."""
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + f"\r\n--{_BOUNDARY}\r\n".encode()


async def _pictures(context: Context, job: Job) -> AsyncGenerator[bytes, None]:
    async with context.workers.watch(job, View.LIVE) as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                yield message.data
