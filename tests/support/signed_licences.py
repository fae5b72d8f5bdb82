"""Licences with any content, signed by any key."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from videofleet_operator.domain.licence import key_id

DOCUMENT: dict[str, Any] = {
    "licensee": "ACME",
    "maxStreams": 5,
    "notBefore": "2026-01-01T00:00:00Z",
    "expires": "2030-01-01T00:00:00Z",
}


def sign(key: Ed25519PrivateKey, *, named: bool = True, **fields: Any) -> bytes:
    """A signed licence; fields by their names on the wire, None takes one out."""
    document = {name: value for name, value in {**DOCUMENT, **fields}.items() if value is not None}
    payload = json.dumps(document).encode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "signature": base64.b64encode(key.sign(payload)).decode(),
    }
    if named:
        envelope["keyId"] = key_id(key.public_key())
    return json.dumps(envelope).encode()


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public key as an installation holds it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
