"""Structured logs: one JSON object a line, credentials taken out."""

import datetime
import logging
import sys
from typing import Final

import orjson

from videofleet_api.redaction import redact_text

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "settings"}

_LARGEST: Final = 2**63


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, then what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and not key.startswith("k8s_"):
                line[key] = value if _is_plain(value) else _text(value)
        if record.exc_info:
            line["exception"] = _text(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def _is_plain(value: object) -> bool:
    """Whether JSON has a form for it that can hold no text."""
    return value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _LARGEST)


def _text(value: object) -> str:
    """Without credentials, and without half surrogates, which UTF-8 has no form for."""
    return redact_text(str(value)).encode(errors="backslashreplace").decode()


def configure(level: str) -> None:
    """Send every log record to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Each request and each kopf activity is a line at INFO: too much for a log that people read.
    for noisy in ("aiohttp.access", "kopf", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
