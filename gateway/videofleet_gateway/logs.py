"""Structured logs: one JSON object a line with the request it is about, credentials taken out."""

import sys
from contextvars import ContextVar
from typing import Final

from videofleet_api.logs import JsonFormatter, send_all

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being served."""
_QUIET: Final = ("uvicorn.access", "uvicorn.error", "asyncio", "alembic", "aiosqlite", "kubernetes")


def configure(level: str) -> None:
    """Send every log record to standard error as JSON."""
    send_all(level, sys.stderr, JsonFormatter(more=_request, foreign=("color_message",)), _QUIET)


def _request() -> dict[str, object]:
    return {"request": request_id.get()} if request_id.get() else {}
