"""The licence: how its document is verified, what it allows, and which stream gives way when it allows less.

The signed file is JSON:

    {"payload": base64(P), "signature": base64(S), "keyId": K}

P is the JSON of a LicenseDocument in UTF-8; S is the Ed25519 signature (RFC 8032, 64 bytes) over exactly the bytes P;
K is the id of the public key, the first 16 hex digits of the SHA-256 of its 32 raw bytes. Without `keyId` every
installed key is tried.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import ValidationError

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_api.videolicense import LicenseDocument
from videofleet_operator.domain.model import Job, Licence, Record, Seconds, Snapshot, Why
from videofleet_operator.domain.times import parse_time

SHED_INTERVAL: Final[Seconds] = 1.0
"""One stream a second gives way."""
_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Validity(StrEnum):
    """Reasons of the condition Valid of a VideoLicense."""

    VERIFIED = "Verified"
    MISSING = "Missing"
    BAD_SIGNATURE = "BadSignature"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"


@dataclass(frozen=True, slots=True)
class Unusable:
    """There is no licence document that could be trusted."""

    validity: Validity
    message: str


def public_keys(pem: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The keys of a file with one or more PEM blocks. Raises ValueError when one of them is no Ed25519 key."""
    found = tuple(_public_key(block) for block in _PEM.findall(pem))
    if not found:
        raise ValueError("no PEM block 'PUBLIC KEY' in the licence's public keys")
    return found


def key_id(key: Ed25519PublicKey) -> str:
    """The id under which a signed file names its key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def verify(signed: bytes, keys: Sequence[Ed25519PublicKey]) -> LicenseDocument | Unusable:
    """The document, if one of the keys signed it."""
    try:
        envelope = json.loads(signed)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signature"], validate=True)
        named = envelope.get("keyId")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return _bad("the Secret does not hold a signed licence: JSON with payload and signature, both base64")
    candidates = [key for key in keys if named is None or key_id(key) == named]
    if not candidates:
        return _bad(f"no installed public key has the id {str(named)[:64]!r} that the licence was signed with")
    if not any(_signed_by(key, signature, payload) for key in candidates):
        return _bad("the signature does not belong to the licence: it was changed, or signed with another key")
    return _parsed(payload)


def validity(document: LicenseDocument | Unusable, now: Seconds) -> Unusable | None:
    """What is wrong with the licence at this time; None: it is valid."""
    if isinstance(document, Unusable):
        return document
    if now < parse_time(document.not_before):
        return Unusable(Validity.NOT_YET_VALID, f"the licence is valid from {document.not_before}")
    if now >= parse_time(document.expires):
        return Unusable(Validity.EXPIRED, f"the licence expired at {document.expires}")
    return None


def state(document: LicenseDocument | Unusable, now: Seconds) -> Licence:
    """What the licence allows now."""
    wrong = validity(document, now)
    limit = None if isinstance(document, Unusable) else document.max_streams
    return Licence(limit, None if wrong is None else Why(Reason.LICENCE_INVALID, wrong.message))


def next_change(document: LicenseDocument | Unusable, now: Seconds) -> Seconds | None:
    """When the state will be another one by itself."""
    if isinstance(document, Unusable):
        return None
    ahead = [time for time in (parse_time(document.not_before), parse_time(document.expires)) if time > now]
    return min(ahead, default=None)


def holds_slot(record: Record) -> bool:
    """Whether a job counts for the licence."""
    return record.phase in ASSIGNED


def refusal(licence: Licence, used: int) -> Why | None:
    """Why no further stream may start while `used` hold a slot; None: it may."""
    if licence.problem is not None:
        return licence.problem
    if licence.limit is None or used < licence.limit:
        return None
    return Why(Reason.LICENCE_EXHAUSTED, f"licence: {used} of {licence.limit} streams are in use")


def to_shed(snapshot: Snapshot, last_shed: Seconds | None) -> Job | None:
    """The stream that gives way now: the newest of the lowest priority, at most one a second.

    A licence that is not valid sheds nothing: what runs goes on.
    """
    limit, now = snapshot.licence.limit, snapshot.now
    if limit is None or snapshot.licence.problem is not None:
        return None
    if last_shed is not None and now < last_shed + SHED_INTERVAL:
        return None
    if sum(holds_slot(job.record) for job in snapshot.jobs.values()) <= limit:
        return None
    running = [job for job in snapshot.jobs.values() if job.record.phase in RUNNING]
    return max(running, key=lambda job: (-job.spec.priority, job.created, job.uid), default=None)


def last_shed(snapshot: Snapshot) -> Seconds | None:
    """When a stream gave way last, as far as the jobs tell."""
    shed = (job.record for job in snapshot.jobs.values() if job.record.reason is Reason.SHED)
    return max((record.since for record in shed if record.phase is Phase.TOO_MANY_CAMERAS), default=None)


def _bad(message: str) -> Unusable:
    return Unusable(Validity.BAD_SIGNATURE, message)


def _public_key(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("a licence's public key is not readable PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a licence's public key is not an Ed25519 key")
    return key


def _signed_by(key: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def _parsed(payload: bytes) -> LicenseDocument | Unusable:
    try:
        document = LicenseDocument.model_validate_json(payload)
        parse_time(document.not_before)
        parse_time(document.expires)
    except ValidationError as error:
        first = error.errors()[0]
        return _bad(f"the signed licence is not readable: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    except ValueError as error:
        return _bad(f"the signed licence is not readable: {error}")
    return document
