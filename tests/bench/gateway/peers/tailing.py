"""The plain way: an application that tails a file for each client.

`python -m tests.bench.gateway.peers.tailing FOLDER PORT`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_POLL = 0.1
"""Seconds; what our gateway waits at first."""


def create_app(folder: Path) -> Starlette:
    """/NAME is the file of this name, and what is appended to it."""

    async def tail(name: str) -> AsyncIterator[bytes]:
        with (folder / name).open("rb") as file:
            while True:
                data = file.read(2**18)
                if data:
                    yield data
                else:
                    await asyncio.sleep(_POLL)

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(tail(request.path_params["name"]), media_type="text/event-stream")

    return Starlette(routes=[Route("/{name}", stream)])


if __name__ == "__main__":
    app, port = create_app(Path(sys.argv[1])), int(sys.argv[2])
    uvicorn.run(app, host="127.0.0.1", port=port, http="h11", loop="asyncio", log_level="warning")
