"""Licences for tests: a key pair, and documents signed with it."""

import datetime
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.signed_licences import public_pem, sign


@dataclass(frozen=True)
class Signer:
    """Somebody who may sign licences."""

    key: Ed25519PrivateKey

    @classmethod
    def new(cls) -> "Signer":
        """With a fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def public_pem(self) -> str:
        """The public key, as the chart's values take it."""
        return public_pem(self.key).decode()

    def sign(self, streams: int, *, days: float = 30, **fields: Any) -> str:
        """A licence for so many streams that ends in so many days (negative: has ended); more fields as on the wire."""
        now = datetime.datetime.now(datetime.UTC)
        begin, end = now - datetime.timedelta(days=60), now + datetime.timedelta(days=days)
        times = {"notBefore": begin.isoformat(), "expires": end.isoformat()}
        return sign(self.key, maxStreams=streams, **{**times, **fields}).decode()
