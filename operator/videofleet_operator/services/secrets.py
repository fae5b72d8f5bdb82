"""The Secrets that jobs and the licence name, read when needed and again from time to time."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from videofleet_kube.errors import ApiError
from videofleet_kube.resources import SECRETS
from videofleet_kube.session import ApiSession

log = logging.getLogger(__name__)

REFRESH_PRESENT = 60.0
"""Seconds between reads of a Secret that is there."""
REFRESH_MISSING = 5.0
"""Seconds between reads of a Secret that is missing or unreadable, or lacks what somebody waits for."""
_TICK = 1.0
"""Seconds between looks at what is due."""

SecretKey = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the last read of a Secret gave. `data` None: not there, or not readable."""

    data: Mapping[str, str] | None
    read_at: float
    version: int = 0
    """Raised when the data changed."""


class SecretStore:
    """Keeps the needed Secrets; `changed` is called when what a job would be given may have changed.

    Secrets are polled and not watched: a watch on all of a namespace's Secrets would bring every secret of every user
    into this process.
    """

    def __init__(
        self, api: ApiSession, changed: Callable[[], None], clock: Callable[[], float], *, tick: float = _TICK
    ) -> None:
        self._api = api
        self._changed = changed
        self._clock = clock
        self._tick = tick
        self._known: dict[SecretKey, Known] = {}
        self._needed: dict[SecretKey, bool] = {}
        self._unreadable: set[SecretKey] = set()
        self._wake = asyncio.Event()
        self._versions = 0

    def need(self, keys: Mapping[SecretKey, bool]) -> None:
        """Say which Secrets are needed from now on; what nobody needs any more is forgotten.

        True for a Secret: what it holds is not usable, somebody waits for better.
        """
        added = keys.keys() - self._needed.keys()
        self._needed = dict(keys)
        self._known = {key: known for key, known in self._known.items() if key in keys}
        self._unreadable &= keys.keys()
        if added:
            self._wake.set()

    @property
    def changes(self) -> int:
        """Raised each time the data of any Secret changed."""
        return self._versions

    def is_known(self, namespace: str, name: str) -> bool:
        """Whether the Secret was looked for already."""
        return (namespace, name) in self._known

    def read(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Data of a Secret as last read; None while it is not there."""
        known = self._known.get((namespace, name))
        return known.data if known else None

    def version(self, namespace: str, name: str) -> int:
        """Raised each time the Secret's data changed; -1 before it was looked for."""
        known = self._known.get((namespace, name))
        return known.version if known else -1

    def read_again(self, namespace: str, name: str) -> None:
        """Forget when a Secret was read, so that it is read at once (its credentials were refused)."""
        known = self._known.get((namespace, name))
        if known is not None:
            self._known[namespace, name] = replace(known, read_at=float("-inf"))
            self._wake.set()

    async def run(self) -> None:
        """Read what is due, until cancelled."""
        while True:
            due = [key for key in self._needed if self._due(key)]
            results = await asyncio.gather(*(self._refresh(key) for key in due))
            if any(results):
                self._changed()
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._tick):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _due(self, key: SecretKey) -> bool:
        known = self._known.get(key)
        if known is None:
            return True
        waited_for = known.data is None or self._needed.get(key, False)
        return self._clock() - known.read_at >= (REFRESH_MISSING if waited_for else REFRESH_PRESENT)

    async def _refresh(self, key: SecretKey) -> bool:
        """Read one Secret. True if what is known of it changed."""
        namespace, name = key
        before = self._known.get(key)
        data: Mapping[str, str] | None
        try:
            secret = await self._api.get(SECRETS, namespace, name)
            data = None if secret is None else dict(secret.get("data") or {})
            self._note_readable(key)
        except ApiError as error:
            self._note_unreadable(key, error)
            # What was read before stays good: an API server that is away stops no stream.
            data = before.data if before else None
        if key not in self._needed:
            return False
        if before is not None and before.data == data:
            self._known[key] = replace(before, read_at=self._clock())
            return False
        self._versions += 1
        self._known[key] = Known(data, self._clock(), self._versions)
        return True

    # One that is not readable is tried every few seconds: only the change is worth a line.

    def _note_unreadable(self, key: SecretKey, error: ApiError) -> None:
        if key not in self._unreadable:
            self._unreadable.add(key)
            log.warning("Secret not readable", extra={"namespace": key[0], "secret": key[1], "error": str(error)})

    def _note_readable(self, key: SecretKey) -> None:
        if key in self._unreadable:
            self._unreadable.discard(key)
            log.info("Secret readable again", extra={"namespace": key[0], "secret": key[1]})
