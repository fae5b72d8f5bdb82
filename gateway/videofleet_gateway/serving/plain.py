"""Health and metrics, on a port of their own."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from videofleet_gateway.errors import GatewayError
from videofleet_gateway.metrics import Metrics

Ready = Callable[[], Awaitable[str | None]]
"""Why the gateway cannot serve now; None: it can."""


def render(error: GatewayError) -> Response:
    """An error in a line."""
    return PlainTextResponse(f"{error.message}\n", status_code=error.status)


def create_app(metrics: Metrics, ready: Ready) -> FastAPI:
    """/healthz, /readyz, /metrics."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        why = await ready()
        return PlainTextResponse(f"{why or 'ok'}\n", status_code=503 if why else 200)

    @app.get("/metrics")
    async def numbers() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app
