"""Structured logs: one line of JSON a record, without credentials."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from videofleet_api.logs import JsonFormatter, send_all
from videofleet_api.redaction import redact_text

_TERMINATION_LOG = Path("/dev/termination-log")


class Secrets:
    """The credentials in use now, by the job that brought them; none of them may reach a log."""

    def __init__(self) -> None:
        self._by_job: dict[str, tuple[str, ...]] = {}
        self._needed: Counter[str] = Counter()
        self._gone: set[str] = set()

    def remember(self, job: str, secrets: Iterable[str | None]) -> None:
        """Hide these from now on."""
        self._gone.discard(job)
        self._by_job[job] = tuple(secret for secret in secrets if secret)

    def forget(self, job: str) -> None:
        """The job has gone; what still needs its credentials keeps them hidden."""
        self._gone.add(job)
        self._drop(job)

    def need(self, job: str) -> None:
        """Something uses the job's credentials, however long the job is there."""
        self._needed[job] += 1

    def need_no_more(self, job: str) -> None:
        """As often as it was needed."""
        self._needed[job] -= 1
        if not self._needed[job]:
            del self._needed[job]
        self._drop(job)

    def _drop(self, job: str) -> None:
        if job in self._gone and job not in self._needed:
            self._gone.discard(job)
            self._by_job.pop(job, None)

    def redact(self, text: str) -> str:
        """The text without credentials."""
        return redact_text(text, *(secret for secrets in self._by_job.values() for secret in secrets))


def set_up_logs(level: str, secrets: Secrets, stream: TextIO = sys.stdout) -> None:
    """Send all logs of this process to the stream."""
    # One line a request would drown everything else.
    send_all(level, stream, JsonFormatter(secrets.redact), ("aiohttp.access",))


def leave_word(text: str, path: Path = _TERMINATION_LOG) -> None:
    """Why the process ends, where Kubernetes reads it for the pod's status; elsewhere there is no such file."""
    # What cannot be told here is in the log.
    with contextlib.suppress(OSError), path.open("r+", encoding="utf-8", errors="replace") as file:
        file.write(text)
