"""Signing a licence, and believing one."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from videofleet_api import licence_file
from videofleet_api.licence_file import SignedFile
from videofleet_api.times import parse_time
from videofleet_api.videolicense import LicenseDocument
from videofleet_license.errors import LicenceError
from videofleet_license.keys import key_id


def make(**fields: object) -> LicenseDocument:
    """A document that a licensor would want to sign; fields by their names in Python. Raises LicenceError."""
    try:
        document = LicenseDocument.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "the licence"
        raise LicenceError(f"{option} {first['input']!r}: {first['msg']}") from None
    if parse_time(document.expires) <= parse_time(document.not_before):
        raise LicenceError(f"--expires {document.expires} is not after --not-before {document.not_before}")
    return document


def sign(document: LicenseDocument, key: Ed25519PrivateKey) -> bytes:
    """The file to deliver."""
    return sign_bytes(licence_file.canonical(document), key)


def sign_bytes(payload: bytes, key: Ed25519PrivateKey, *, named: bool = True) -> bytes:
    """A file with any payload. `named`: with the id of the key."""
    name = key_id(key.public_key()) if named else None
    return licence_file.write(SignedFile(payload, key.sign(payload), name))


def read(content: bytes, name: str) -> tuple[SignedFile, LicenseDocument]:
    """What a file of this name says, whoever signed it. Raises LicenceError."""
    try:
        file = licence_file.read(content)
        return file, licence_file.document(file.payload)
    except ValueError as error:
        raise LicenceError(f"{name}: {error}") from error


def check(file: SignedFile, key: Ed25519PublicKey) -> None:
    """Raises LicenceError unless the file was signed with this key."""
    own = key_id(key)
    if file.key_id not in (None, own):
        raise LicenceError(f"the licence was signed with the key {file.key_id}, and this one is {own}")
    try:
        key.verify(file.signature, file.payload)
    except InvalidSignature:
        raise LicenceError("the signature does not belong to the licence: it was changed after it was signed") from None
