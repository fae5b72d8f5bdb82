"""An application that is made while others on the port answer already."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """What `make` gives: made once `due` says so or somebody asks for it, who then waits for it."""

    def __init__(
        self, make: Callable[[], Awaitable[AbstractAsyncContextManager[ASGIApp]]], due: Callable[[], Awaitable[None]]
    ) -> None:
        self._make = make
        self._due = due
        self._asked = asyncio.Event()
        self._app: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Make it and have it run; cancelled, close it in order. Raises what goes wrong with that."""
        await self._wanted()
        try:
            async with await self._make() as app:
                self._app.set_result(app)
                # It ends as at the end of a block: not all that is to be closed minds a cancellation.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.get_running_loop().create_future()
        finally:
            # Who waits for what does not come is sent away.
            self._app.cancel()

    async def _wanted(self) -> None:
        waiting = {asyncio.ensure_future(self._due()), asyncio.ensure_future(self._asked.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as soon as there is what serves it."""
        self._asked.set()
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)
