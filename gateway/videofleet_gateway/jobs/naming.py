"""Names of VideoJobs that were made through a dialect, and how jobs of others are called in it. Pure."""

import base64
import hashlib
import re
from typing import Final

from videofleet_api.names import GROUP

_READABLE: Final = 36
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_BITS, _RANDOM_BITS = 48, 80
_DIGITS: Final = 26


def id_annotation(dialect: str) -> str:
    """Where a job keeps the id that it has in a dialect."""
    return f"{GROUP}/{dialect}-id"


def job_name(dialect: str, identifier: str) -> str:
    """`metadata.name` of the job with this id: the same id is always the same name, so that the API server itself
    refuses a second one; different ids have different names, whatever they are written with."""
    digest = hashlib.sha256(f"{dialect}\0{identifier}".encode(errors="surrogatepass")).digest()
    tail = base64.b32encode(digest[:10]).decode().lower()
    readable = _NOT_IN_NAMES.sub("-", identifier.lower())[:_READABLE].strip("-")
    return "-".join(part for part in (dialect, readable, tail) if part)


def ulid(milliseconds: int, randomness: bytes) -> str:
    """A ULID (https://github.com/ulid/spec) of a Unix time and 10 bytes: 26 digits, in the order of their times."""
    number = (milliseconds & (1 << _TIME_BITS) - 1) << _RANDOM_BITS | int.from_bytes(randomness[:10], "big")
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(_DIGITS)))


def foreign_ulid(created_ms: int, uid: str) -> str:
    """The ULID of a job that was made elsewhere: always the same of the same job."""
    return ulid(created_ms, hashlib.sha256(uid.encode()).digest())


def ulid_milliseconds(text: str) -> int:
    """The Unix time in a ULID."""
    number = 0
    for digit in text:
        number = number << 5 | _CROCKFORD.index(digit)
    return number >> _RANDOM_BITS
