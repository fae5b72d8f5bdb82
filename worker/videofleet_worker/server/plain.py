"""Probes, metrics and the number of jobs, without TLS: the kubelet and Prometheus have no certificate."""

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Checks = Callable[[], Mapping[str, str | None]]
"""By name: None where all is well, else what is missing."""


def plain_app(checks: Checks, registry: CollectorRegistry, jobs: Callable[[], int]) -> web.Application:
    """The application on the plain port. `jobs`: how many are assigned."""

    async def healthz(request: web.Request) -> web.Response:
        # That it answers is the answer: the loop that serves this runs everything else.
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        missing = {name: problem for name, problem in checks().items() if problem is not None}
        lines = "".join(f"{name}: {problem}\n" for name, problem in missing.items())
        return web.Response(text=lines or "ok\n", status=503 if missing else 200)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def held(request: web.Request) -> web.Response:
        return web.Response(text=f"{jobs()}\n")

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics), web.get("/jobs", held)]
    )
    return app
