"""Several HTTP servers in one process."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from videofleet_gateway.errors import Render
from videofleet_gateway.serving.connections import Connections

_BACKLOG: Final = 2048
_KEEP_ALIVE: Final = 75
_LONGEST_HEAD: Final = 64 * 1024
_LONGEST_MESSAGE: Final = 64 * 1024
"""Of what a client says over a WebSocket: nothing but pongs is expected."""


class _Server(uvicorn.Server):
    """One that leaves the process's signals alone: there are several, and they end in an order."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Listener:
    """An application on a port. `render` tells what is wrong with that which never becomes a request."""

    def __init__(self, app: ASGIApp, host: str, port: int, connections: Connections, render: Render) -> None:
        self._socket = _listen(host, port)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http=connections.protocol(render),
            ws="websockets-sansio",
            ws_max_size=_LONGEST_MESSAGE,
            ws_per_message_deflate=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            proxy_headers=False,
        )
        self._server = _Server(config)
        connections.ports.append(self._server.server_state.connections)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    async def run(self) -> None:
        """Serve until told to stop."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more connections from now on, and end those that are open once their answers are out."""
        self._server.should_exit = True
        for server in getattr(self._server, "servers", ()):
            server.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


async def run_all(listeners: list[Listener]) -> None:
    """Serve until all have stopped; the failure of one ends the others."""
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.run())
