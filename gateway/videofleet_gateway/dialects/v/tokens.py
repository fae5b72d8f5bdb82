"""Tokens for one task's stream: what a browser's EventSource, which sends no headers, can put into an address."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import orjson

from videofleet_gateway.auth import unauthenticated
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.store.keys import Keys, Project

LIFETIME: Final = 3600
"""Seconds."""
_SECRET: Final = "stream tokens"
_DIGEST: Final = 32


class Tokens:
    """Issued to who has a key, taken by every replica. `clock` gives Unix seconds."""

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock

    async def issue(self, project: Project, task_id: str) -> tuple[str, int]:
        """A token for the stream of a task, and the Unix time at which it ends."""
        expires = int(self._clock()) + LIFETIME
        said = orjson.dumps([task_id, expires, project.id, project.namespace])
        return base64.urlsafe_b64encode(await self._digest(said) + said).decode().rstrip("="), expires

    async def project_of(self, token: str, task_id: str) -> Project:
        """On whose behalf it was issued. Raises GatewayError where it is not good for this task's stream now."""
        try:
            written = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raise _refused() from None
        digest, said = written[:_DIGEST], written[_DIGEST:]
        if not hmac.compare_digest(digest, await self._digest(said)):
            raise _refused()
        task, expires, project, namespace = orjson.loads(said)
        if task != task_id or expires <= self._clock():
            raise _refused()
        return Project(project, namespace, may_write=False)

    async def _digest(self, said: bytes) -> bytes:
        return hmac.new(await self._keys.shared_secret(_SECRET), said, hashlib.sha256).digest()


def _refused() -> GatewayError:
    return unauthenticated("the access_token is of another task, or has expired")
