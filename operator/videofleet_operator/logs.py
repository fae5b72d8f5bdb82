"""Structured logs: one JSON object a line, credentials taken out."""

import sys
from typing import Final

from videofleet_api.logs import JsonFormatter, send_all

FOREIGN: Final = ("k8s_", "settings")
"""Fields of kopf's own."""


def configure(level: str) -> None:
    """Send every log record to standard error as JSON."""
    # Each request and each kopf activity is a line at INFO: too much for a log that people read.
    send_all(level, sys.stderr, JsonFormatter(foreign=FOREIGN), ("aiohttp.access", "kopf", "asyncio", "kubernetes"))
