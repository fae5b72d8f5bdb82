"""Licences with any content, signed by any key."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from videofleet_license import documents, keys

DOCUMENT: dict[str, Any] = {
    "licensee": "ACME",
    "maxStreams": 5,
    "notBefore": "2026-01-01T00:00:00Z",
    "expires": "2030-01-01T00:00:00Z",
}


def sign(key: Ed25519PrivateKey, *, named: bool = True, **fields: Any) -> bytes:
    """A signed licence, also one that makes no sense; fields by their names on the wire, None takes one out."""
    document = {name: value for name, value in {**DOCUMENT, **fields}.items() if value is not None}
    return documents.sign_bytes(json.dumps(document).encode(), key, named=named)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public key as an installation holds it."""
    return keys.public_pem(key.public_key())
