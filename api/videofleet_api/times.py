"""Times on the wire: RFC 3339 in UTC with microseconds."""

from datetime import UTC, datetime


def format_time(time: float) -> str:
    """Unix seconds as, for example, 2026-01-02T03:04:05.000006Z."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """Unix seconds. Raises ValueError for text that is no RFC 3339 time with a time zone."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not an RFC 3339 time such as 2026-01-02T03:04:05Z") from None
    if parsed.tzinfo is None:
        raise ValueError(f"{text[:64]!r} lacks a time zone: end it with Z")
    try:
        return parsed.timestamp()
    except OverflowError:
        raise ValueError(f"{text[:64]!r} is out of range") from None
