"""Ids of F: any UTF-8 text, chosen by the client in the path. Pure."""

from typing import Final
from urllib.parse import quote, unquote_to_bytes

from videofleet_gateway.errors import GatewayError, invalid

LONGEST: Final = 1024
"""Bytes of an id."""


def segments(raw_path: bytes) -> list[bytes]:
    """The segments of a path as the client wrote it: an escaped slash parts nothing, and the last one is nothing."""
    return raw_path.partition(b"?")[0].strip(b"/").split(b"/")


def id_of(segment: bytes) -> str:
    """An id from its segment of the path, percent-decoded once. Raises GatewayError."""
    data = unquote_to_bytes(segment)
    try:
        identifier = data.decode()
    except UnicodeDecodeError:
        raise _wrong("an id is UTF-8 text", repr(data)) from None
    if not identifier or len(data) > LONGEST:
        raise _wrong(f"an id has 1 to {LONGEST} bytes, this one {len(data)}", identifier)
    return identifier


def in_path(identifier: str) -> str:
    """An id as one segment of a path."""
    return quote(identifier, safe="")


def _wrong(message: str, value: str) -> GatewayError:
    return invalid("id", message, value[:64])
