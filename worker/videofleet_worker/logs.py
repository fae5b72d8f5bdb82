"""Structured logs: one line of JSON a record, without credentials."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from videofleet_api.logs import JsonFormatter, send_all
from videofleet_api.protocol import JobSource
from videofleet_api.redaction import redact_text, secret_words
from videofleet_api.targets import JobOutputs

_TERMINATION_LOG = Path("/dev/termination-log")


class Secrets:
    """The credentials and addresses in use now, by what brought them; none of them may reach a log, a report or an
    answer. Safe to use from several threads."""

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
        known = tuple(self._by_job.values())
        return redact_text(text, *(secret for secrets in known for secret in secrets))


def secrets_of_source(source: JobSource) -> tuple[str | None, ...]:
    """What of a source must be shown to nobody. Its address may come from a Secret, or hold a token."""
    return source.username, source.password, source.session_token, *secret_words(source.url)


def secrets_of_outputs(outputs: JobOutputs) -> tuple[str | None, ...]:
    """What of receivers must be shown to nobody. An address is often all that it takes to post there."""
    router, mqtt = outputs.router, outputs.mqtt
    headers = router.headers.values() if router is not None else ()
    broker = (mqtt.username, mqtt.password) if mqtt is not None else ()
    addresses = [webhook.url for webhook in outputs.webhooks]
    addresses += [each for each in (router.url, router.events_url) if each] if router is not None else []
    words = (word for address in addresses for word in secret_words(address))
    return *headers, *broker, *(webhook.secret for webhook in outputs.webhooks), *words


def set_up_logs(level: str, secrets: Secrets, stream: TextIO = sys.stdout) -> None:
    """Send all logs of this process to the stream."""
    # One line a request would drown everything else.
    send_all(level, stream, JsonFormatter(secrets.redact), ("aiohttp.access",))


def leave_word(text: str, path: Path = _TERMINATION_LOG) -> None:
    """Why the process ends, where Kubernetes reads it for the pod's status; elsewhere there is no such file."""
    # What cannot be told here is in the log.
    with contextlib.suppress(OSError), path.open("r+", encoding="utf-8", errors="replace") as file:
        file.write(text)
