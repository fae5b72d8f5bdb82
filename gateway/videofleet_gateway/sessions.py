"""Who has signed in with a key: the cookie that a browser then shows, since a page cannot send headers everywhere."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from videofleet_gateway.auth import unauthenticated
from videofleet_gateway.store.keys import Keys, Project, digest_of

COOKIE: Final = "videofleet_session"
LASTS: Final = 12 * 3600
"""Seconds, then the key is asked for again."""
_SECRET_NAME: Final = "sessions"


class Sessions:
    """Cookies that are good at every replica and end with their key. They hold a key's digest, never the key.

    `clock` gives Unix seconds.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._secret: bytes | None = None

    async def begin(self, key: str) -> str:
        """The cookie of one who shows this key. Raises GatewayError, UNAUTHENTICATED."""
        if await self._keys.project_of(key) is None:
            raise unauthenticated("the API key is unknown or was revoked")
        said = f"{digest_of(key)}.{int(self._clock()) + LASTS}"
        return f"{said}.{await self._seal(said)}"

    async def project_of(self, cookie: str | None) -> Project | None:
        """On whose behalf the one with this cookie asks; None where it is none of ours, is over, or its key is."""
        said, _, seal = (cookie or "").rpartition(".")
        digest, _, until = said.partition(".")
        if not hmac.compare_digest(seal.encode(), (await self._seal(said)).encode()):
            return None
        return await self._keys.project_of_digest(digest) if self._clock() < int(until) else None

    async def _seal(self, said: str) -> str:
        """HMAC-SHA256 (RFC 2104), hexadecimal."""
        if self._secret is None:
            self._secret = await self._keys.shared_secret(_SECRET_NAME)
        return hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()
