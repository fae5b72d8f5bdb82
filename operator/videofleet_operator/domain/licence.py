"""What the licence allows, and which stream gives way when it allows less.

videofleet_api.licence_file has the form of the file; here it is believed or not.
"""

import re
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from videofleet_api import licence_file
from videofleet_api.codes import Reason
from videofleet_api.licence_file import Standing, Validity
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_api.source import Source, SourceKind
from videofleet_api.times import format_time, parse_time
from videofleet_api.videolicense import LicenseDocument
from videofleet_operator.domain.model import Job, Licence, Record, Seconds, Snapshot, Why
from videofleet_operator.domain.placement import needed_steps

SHED_INTERVAL: Final[Seconds] = 1.0
"""One stream a second gives way."""
ROLLBACK_TOLERANCE: Final[Seconds] = 60.0
"""By so much the clocks of two leaders may differ."""
_STEPS_TOLD: Final = 20
_QUERY: Final = re.compile("[?#]")
_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def public_keys(pem: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The keys of a file with one or more PEM blocks. Raises ValueError when one of them is no Ed25519 key."""
    found = tuple(_public_key(block) for block in _PEM.findall(pem))
    if not found:
        raise ValueError("no PEM block 'PUBLIC KEY' in the licence's public keys")
    return found


def verify(signed: bytes, keys: Sequence[Ed25519PublicKey]) -> LicenseDocument | Standing:
    """The document, if one of the keys signed it."""
    try:
        file = licence_file.read(signed)
    except ValueError as error:
        return _bad(f"the Secret holds {error}")
    candidates = [key for key in keys if file.key_id in (None, _key_id(key))]
    if not candidates:
        return _bad(f"no installed public key has the id {str(file.key_id)[:64]!r} that the licence was signed with")
    if not any(_signed_by(key, file.signature, file.payload) for key in candidates):
        return _bad("the signature does not belong to the licence: it was changed, or signed with another key")
    try:
        return licence_file.document(file.payload)
    except ValueError as error:
        return _bad(str(error))


def standing(document: LicenseDocument | Standing, now: Seconds, high_water: Seconds | None = None) -> Standing:
    """What the licence is worth now.

    `high_water`: the latest time that any leader is known to have seen. A clock well before it has been set back, and
    nothing that depends on the time can be believed.
    """
    if isinstance(document, Standing):
        return document
    if high_water is not None and now < high_water - ROLLBACK_TOLERANCE:
        # Whole seconds, and not what the clock shows: every other message would be another write.
        seen = format_time(int(high_water))
        message = f"the clock was set back: the operator's Lease was renewed at {seen} already; set the clock right"
        return Standing(Validity.CLOCK_ROLLED_BACK, message)
    return licence_file.standing(document, now)


def state(document: LicenseDocument | Standing, now: Seconds, high_water: Seconds | None = None) -> Licence:
    """What the licence allows now."""
    found = standing(document, now, high_water)
    problem = None if found.usable else Why(Reason.LICENCE_INVALID, found.message)
    if isinstance(document, Standing):
        return Licence(problem=problem)
    return Licence(document.max_streams, problem, document.count_recorded, frozenset(document.features))


def next_change(document: LicenseDocument | Standing, now: Seconds) -> Seconds | None:
    """When the state will be another one by itself."""
    if isinstance(document, Standing):
        return None
    times = (parse_time(document.not_before), parse_time(document.expires), licence_file.grace_ends(document))
    return min((time for time in times if time > now), default=None)


def counts(job: Job, licence: Licence) -> bool:
    """Whether the job takes a slot of the licence while it runs."""
    return licence.count_recorded or not job.recorded


def recorded(source: Source) -> bool:
    """Whether a source is a recorded file, as far as its spec alone tells; in doubt it is live.

    RTSP is live whatever `kind` says, and what an address in a Secret points to is not known here: otherwise a word
    in the spec would make a camera free of charge.
    """
    if source.images:
        return True
    scheme, _, rest = (source.url or "").lower().partition("://")
    if scheme not in ("http", "https", "s3", "file") or source.kind is SourceKind.LIVE:
        return False
    return source.kind is SourceKind.RECORDED or not _QUERY.split(rest)[0].endswith(".m3u8")


def holds_slot(job: Job, record: Record, licence: Licence) -> bool:
    """Whether a job counts for the licence with this record."""
    return record.phase in ASSIGNED and counts(job, licence)


def used(snapshot: Snapshot) -> int:
    """Slots of the licence that are in use."""
    return sum(holds_slot(job, job.record, snapshot.licence) for job in snapshot.jobs.values())


def refusal(licence: Licence, job: Job, others: int) -> Why | None:
    """Why the job may not start while `others` hold a slot; None: it may."""
    if licence.problem is not None:
        return licence.problem
    lacking = sorted(needed_steps(job) - licence.features) if licence.features else []
    if lacking:
        covered = ", ".join(sorted(licence.features)[:_STEPS_TOLD])
        return Why(Reason.LICENCE_LACKS_FEATURE, f"the licence covers {covered}, but not {', '.join(lacking)}")
    if licence.limit is None or others < licence.limit or not counts(job, licence):
        return None
    return Why(Reason.LICENCE_EXHAUSTED, f"licence: {others} of {licence.limit} streams are in use")


def to_shed(snapshot: Snapshot, last_shed: Seconds | None) -> Job | None:
    """The stream that gives way now: the newest of the lowest priority, at most one a second.

    A licence that is not valid sheds nothing: what runs goes on.
    """
    limit, now = snapshot.licence.limit, snapshot.now
    if limit is None or snapshot.licence.problem is not None:
        return None
    if last_shed is not None and now < last_shed + SHED_INTERVAL:
        return None
    if used(snapshot) <= limit:
        return None
    running = [job for job in snapshot.jobs.values() if job.record.phase in RUNNING and counts(job, snapshot.licence)]
    return max(running, key=giving_way, default=None)


def giving_way(job: Job) -> tuple[int, Seconds, str]:
    """The running job with the largest of these gives way first: the lowest priority, of those what started last."""
    record = job.record
    return -job.spec.priority, record.since if record.first_frame is None else record.first_frame, job.uid


def last_shed(snapshot: Snapshot) -> Seconds | None:
    """When a stream gave way last, as far as the jobs tell."""
    shed = (job.record for job in snapshot.jobs.values() if job.record.reason is Reason.SHED)
    return max((record.since for record in shed if record.phase is Phase.TOO_MANY_CAMERAS), default=None)


def _key_id(key: Ed25519PublicKey) -> str:
    return licence_file.key_id(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _bad(message: str) -> Standing:
    return Standing(Validity.BAD_SIGNATURE, message)


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
