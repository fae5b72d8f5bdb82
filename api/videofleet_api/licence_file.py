"""The file that a licence is delivered in, for who signs it and for who believes it.

It is JSON:

    {"payload": base64(P), "signature": base64(S), "keyId": K}

P is a LicenseDocument as JSON in UTF-8 (in its canonical form when this project's tool wrote it); S is the Ed25519
signature (RFC 8032, 64 bytes) over exactly the bytes P; K is the id of the public key, the first 16 hex digits of the
SHA-256 of its 32 raw bytes. Without `keyId` every installed key is tried.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from videofleet_api.times import format_time, parse_time
from videofleet_api.videolicense import LicenseDocument

_DAY: Final = 86_400.0


class Validity(StrEnum):
    """Reasons of the condition Valid of a VideoLicense."""

    VERIFIED = "Verified"
    IN_GRACE_PERIOD = "InGracePeriod"
    MISSING = "Missing"
    BAD_SIGNATURE = "BadSignature"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"
    CLOCK_ROLLED_BACK = "ClockRolledBack"


USABLE: Final = frozenset({Validity.VERIFIED, Validity.IN_GRACE_PERIOD})
"""New streams may start."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """What the file holds, before anything of it is believed."""

    payload: bytes
    signature: bytes
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a licence is worth at some time, with a sentence for people."""

    validity: Validity
    message: str

    @property
    def usable(self) -> bool:
        """Whether new streams may start."""
        return self.validity in USABLE


def key_id(raw: bytes) -> str:
    """The id under which a signed file names its key. `raw`: the 32 bytes of the public key."""
    return hashlib.sha256(raw).hexdigest()[:16]


def canonical(document: LicenseDocument) -> bytes:
    """The bytes that are signed: sorted keys, no spaces, UTF-8."""
    return json.dumps(document.wire(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write(signed: SignedFile) -> bytes:
    """The file's content."""
    envelope = {
        "payload": base64.b64encode(signed.payload).decode(),
        "signature": base64.b64encode(signed.signature).decode(),
    }
    if signed.key_id is not None:
        envelope["keyId"] = signed.key_id
    return json.dumps(envelope).encode()


def read(content: bytes) -> SignedFile:
    """The parts of a file. Raises ValueError when it is none."""
    try:
        envelope = json.loads(content)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signature"], validate=True)
        named = envelope.get("keyId")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise ValueError("no signed licence: JSON with payload and signature, both base64, was expected") from None
    return SignedFile(payload, signature, None if named is None else str(named))


def document(payload: bytes) -> LicenseDocument:
    """The document in the signed bytes. Raises ValueError that names the first field that is wrong."""
    try:
        return LicenseDocument.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the document"
        raise ValueError(f"the signed licence is not readable: {field}: {first['msg']}") from None


def grace_ends(licence: LicenseDocument) -> float:
    """Unix seconds; from then on nothing new starts."""
    return parse_time(licence.expires) + licence.grace_days * _DAY


def standing(licence: LicenseDocument, now: float) -> Standing:
    """What a licence that was signed by the right key is worth at this time (Unix seconds)."""
    if now < parse_time(licence.not_before):
        return Standing(Validity.NOT_YET_VALID, f"the licence is valid from {licence.not_before}")
    if now < parse_time(licence.expires):
        return Standing(Validity.VERIFIED, "the licence is signed by an installed key and valid now")
    ends = grace_ends(licence)
    if now < ends:
        message = f"the licence expired at {licence.expires}; streams still start until {format_time(ends)}: renew it"
        return Standing(Validity.IN_GRACE_PERIOD, message)
    return Standing(Validity.EXPIRED, f"the licence expired at {licence.expires}")
