"""What a worker lets a gateway read: the logs that it writes, over mutual TLS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from tests.support.simulated_worker import TlsFiles
from videofleet_archive.view import LogView
from videofleet_worker.server.access import check_access, errors_as_json
from videofleet_worker.server.streaming import stream


class LogServer:
    """`GET /v1/jobs/{uid}/chunks` on an address of the loopback network, from `with` to its end.

    `views`: the log of each job by the job's uid; `keys`: the folder with the worker's certificate.
    """

    def __init__(self, views: Mapping[str, LogView], keys: Path, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.asked: list[dict[str, str]] = []
        """What each reader asked for."""
        self._views = views
        names = ("tls.crt", "tls.key", "ca.crt")
        self._tls = TlsFiles.of_secret({name: (keys / name).read_bytes() for name in names})
        app = web.Application(middlewares=[errors_as_json, check_access])
        app.router.add_get("/v1/jobs/{uid}/chunks", self._chunks)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)

    async def __aenter__(self) -> LogServer:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls.context(), reuse_address=True)
        await site.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Nobody listens any more."""
        await self._runner.cleanup()

    async def _chunks(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        view = self._views[request.match_info["uid"]]
        return await stream(request, "text/event-stream", view.read(int(request.query["offset"])))
