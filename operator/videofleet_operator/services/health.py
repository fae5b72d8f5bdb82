"""The operator's plain HTTP endpoint: /healthz, /readyz, /metrics, and what others add."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""None: well. Otherwise what is wrong."""


class HealthServer:
    """Serves the two checks, the metrics and the further routes."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        live: Check,
        ready: Check,
        routes: Sequence[web.RouteDef] = (),
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._live = live
        self._ready = ready
        self._routes = routes
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port in use (the given one, or a free one for 0)."""
        app = web.Application()
        app.router.add_get("/healthz", self._handle(self._live))
        app.router.add_get("/readyz", self._handle(self._ready))
        app.router.add_get("/metrics", self._metrics)
        app.router.add_routes(self._routes)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @staticmethod
    def _handle(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(_: web.Request) -> web.StreamResponse:
            problem = check()
            return web.Response(text=problem or "ok", status=503 if problem else 200)

        return handler

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
