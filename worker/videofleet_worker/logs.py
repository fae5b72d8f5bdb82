"""Structured logs: one line of JSON a record, without credentials."""

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

from videofleet_api.logs import JsonFormatter, send_all
from videofleet_api.protocol import JobSource
from videofleet_api.redaction import SHORTEST_LOGIN, forms_of, redact_words, secret_words
from videofleet_api.targets import JobOutputs

_TERMINATION_LOG = Path("/dev/termination-log")
ARCHIVE: Final = "the archive"
"""It owns secrets, too."""


class Secrets:
    """The credentials and addresses in use now, by what brought them; none of them may reach a log, a report or an
    answer. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_owner: dict[str, tuple[str, ...]] = {}
        self._all: tuple[str, ...] = ()
        self._changing = threading.RLock()
        self._needed: Counter[str] = Counter()
        self._gone: set[str] = set()

    def remember(self, owner: str, secrets: Iterable[str | None]) -> None:
        """Hide these from now on. `owner`: a job, or what else brings them."""
        with self._changing:
            self._gone.discard(owner)
            self._by_owner[owner] = forms_of(secrets)
            self._collect()

    def forget(self, owner: str) -> None:
        """It has gone; what still needs its credentials keeps them hidden."""
        with self._changing:
            self._gone.add(owner)
            self._drop(owner)

    def need(self, owner: str) -> None:
        """Something uses its credentials, however long it is there."""
        with self._changing:
            self._needed[owner] += 1

    def need_no_more(self, owner: str) -> None:
        """As often as it was needed."""
        with self._changing:
            self._needed[owner] -= 1
            if not self._needed[owner]:
                del self._needed[owner]
            self._drop(owner)

    def redact(self, text: str) -> str:
        """The text without any credentials, for logs."""
        return redact_words(text, self._all)

    def redact_for(self, owner: str, text: str) -> str:
        """The text without the owner's credentials and the archive's, for who may see the owner.

        Those of others stay out of it: what is replaced would tell somebody who guesses.
        """
        forms = (*self._by_owner.get(owner, ()), *self._by_owner.get(ARCHIVE, ()))
        return redact_words(text, sorted(forms, key=len, reverse=True))

    def _drop(self, owner: str) -> None:
        if owner in self._gone and owner not in self._needed:
            self._gone.discard(owner)
            self._by_owner.pop(owner, None)
            self._collect()

    def _collect(self) -> None:
        forms = {form for each in self._by_owner.values() for form in each}
        self._all = tuple(sorted(forms, key=len, reverse=True))


def secrets_of_source(source: JobSource) -> tuple[str | None, ...]:
    """What of a source must be shown to nobody. Its address may come from a Secret, or hold a token."""
    user = source.username if source.username and len(source.username) >= SHORTEST_LOGIN else None
    return user, source.password, source.session_token, *secret_words(source.url)


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
