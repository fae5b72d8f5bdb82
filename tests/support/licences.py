"""Licences for tests: a key pair, and documents signed with it."""

import base64
import datetime
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from videofleet_operator.domain.licence import key_id


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
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, streams: int, *, days: float = 30) -> str:
        """A licence for so many streams that ends in so many days (negative: has ended)."""
        now = datetime.datetime.now(datetime.UTC)
        begin, end = now - datetime.timedelta(days=60), now + datetime.timedelta(days=days)
        document = {
            "licensee": "videofleet tests",
            "maxStreams": streams,
            "notBefore": begin.isoformat(),
            "expires": end.isoformat(),
        }
        payload = json.dumps(document).encode()
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "signature": base64.b64encode(self.key.sign(payload)).decode(),
            "keyId": key_id(self.key.public_key()),
        }
        return json.dumps(envelope)
