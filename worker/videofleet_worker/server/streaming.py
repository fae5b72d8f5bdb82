"""Answers that go on as long as the client listens."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web


async def stream(request: web.Request, content_type: str, parts: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Send the parts as they come. A client that goes away is no error."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-store"})
    async with aclosing(parts):
        try:
            await response.prepare(request)
            async for part in parts:
                await response.write(part)
        except ConnectionError:
            return response
    return response
