"""Ed25519 keys as PEM files: PKCS #8 for who signs, SubjectPublicKeyInfo for who believes it."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from videofleet_api import licence_file
from videofleet_license.errors import LicenceError


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The private key, unencrypted: its file's permissions guard it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as an installation holds it (chart value licence.publicKeys)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_key(pem: bytes, name: str) -> Ed25519PrivateKey:
    """The key in a file of this name. Raises LicenceError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise LicenceError(f"{name} holds no private key: unencrypted PEM was expected, as keygen writes it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LicenceError(f"{name} holds a key of another kind: licences are signed with Ed25519, make one by keygen")
    return key


def public_key(pem: bytes, name: str) -> Ed25519PublicKey:
    """The key in a file of this name. Raises LicenceError."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LicenceError(f"{name} holds no public key: a PEM block 'PUBLIC KEY' was expected") from error
    if not isinstance(key, Ed25519PublicKey):
        raise LicenceError(f"{name} holds a key of another kind: licences are signed with Ed25519")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """The id under which a signed file names its key."""
    return licence_file.key_id(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
