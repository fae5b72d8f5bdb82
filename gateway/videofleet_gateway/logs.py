"""Structured logs: one JSON object a line with the request it is about, credentials taken out."""

import datetime
import logging
import sys
from contextvars import ContextVar
from typing import Final

import orjson

from videofleet_api.redaction import redact_text

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being served."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, the request's id, then what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if request_id.get():
            line["request"] = request_id.get()
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = value if value is None or isinstance(value, bool | int | float) else _text(value)
        if record.exc_info:
            line["exception"] = _text(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def _text(value: object) -> str:
    """Without credentials, and without half surrogates, which UTF-8 has no form for."""
    return redact_text(str(value)).encode(errors="backslashreplace").decode()


def configure(level: str) -> None:
    """Send every log record to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "uvicorn.error", "asyncio", "alembic", "aiosqlite", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
