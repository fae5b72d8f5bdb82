"""Structured logs: one line of JSON a record, without credentials."""

import datetime
import logging
import sys
from collections.abc import Iterable
from typing import Final, TextIO

import orjson

from videofleet_api.redaction import redact_text

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Secrets:
    """The credentials in use now, by the job that brought them; none of them may reach a log."""

    def __init__(self) -> None:
        self._by_job: dict[str, tuple[str, ...]] = {}

    def remember(self, job: str, secrets: Iterable[str | None]) -> None:
        """Hide these from now on."""
        self._by_job[job] = tuple(secret for secret in secrets if secret)

    def forget(self, job: str) -> None:
        """The job has gone."""
        self._by_job.pop(job, None)

    def redact(self, text: str) -> str:
        """The text without credentials."""
        return redact_text(text, *(secret for secrets in self._by_job.values() for secret in secrets))


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, the fields given as `extra`, and `error` with a traceback."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._secrets.redact(record.getMessage()),
        }
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line |= {key: self._clean(value) for key, value in fields.items()}
        if record.exc_info:
            line["error"] = self._secrets.redact(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()

    def _clean(self, value: object) -> object:
        return self._secrets.redact(value) if isinstance(value, str) else value


def set_up_logs(level: str, secrets: Secrets, stream: TextIO = sys.stdout) -> None:
    """Send all logs of this process to the stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line a request would drown everything else.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
