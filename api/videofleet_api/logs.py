"""Log lines as every part of videofleet writes them: one JSON object a line, credentials taken out."""

import datetime
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TextIO

from videofleet_api.redaction import redact_text

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LARGEST: Final = 2**63
"""Whole numbers from here on have no form that every reader of JSON takes."""


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, what was given as `extra`, and `exception` with a traceback.

    `clean` takes credentials out of a text; `more` gives further fields of a line, as what it is about; fields whose
    names begin with one of `foreign` are left out.
    """

    def __init__(
        self,
        clean: Callable[[str], str] = redact_text,
        more: Callable[[], Mapping[str, object]] = dict,
        foreign: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self._clean = clean
        self._more = more
        self._foreign = foreign

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._more(),
        }
        fields |= {name: value for name, value in vars(record).items() if self._is_given(name)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(self._plain(fields), ensure_ascii=False, separators=(",", ":"))

    def _is_given(self, name: str) -> bool:
        return name not in _STANDARD and not name.startswith(self._foreign)

    def _plain(self, value: object) -> object:
        """In a form that JSON has; whatever else there is as text."""
        match value:
            case None | bool():
                return value
            case int() if abs(value) < _LARGEST:
                return value
            case float() if math.isfinite(value):
                return value
            case dict():
                return {self._text(name): self._plain(item) for name, item in value.items()}
            case list() | tuple():
                return [self._plain(item) for item in value]
            case _:
                return self._text(value)

    def _text(self, value: object) -> str:
        """Without credentials, and without half surrogates, which UTF-8 has no form for."""
        return self._clean(str(value)).encode(errors="backslashreplace").decode()


def send_all(level: str, stream: TextIO, formatter: logging.Formatter, quiet: Iterable[str] = ()) -> None:
    """Send every record of this process to the stream; of the loggers named only what is a warning or worse."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in quiet:
        logging.getLogger(noisy).setLevel(logging.WARNING)
