"""Filters of a list, as they stand in its address. Pure."""

from datetime import UTC, datetime

from videofleet_gateway.errors import invalid
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.tasks.tasks import Filters, read_cursor


def filters(status: str | None, since: str | None, until: str | None, cursor: str | None) -> Filters:
    """What they mean. Raises GatewayError that names the one at fault."""
    return Filters(
        status=None if status is None else _status(status),
        since=None if since is None else _time("from", since),
        until=None if until is None else _time("to", until),
        before=None if cursor is None else read_cursor(cursor),
    )


def _status(given: str) -> TaskStatus:
    try:
        return TaskStatus(given)
    except ValueError:
        raise invalid("status", f"status must be one of {', '.join(TaskStatus)}, got {given[:64]!r}") from None


def _time(name: str, given: str) -> datetime:
    try:
        # A plus sign that was not encoded arrives as a space.
        time = datetime.fromisoformat(given.strip().replace(" ", "+").replace("Z", "+00:00"))
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(name, f"{name} must be a time as 2026-01-31T12:00:00Z (RFC 3339), got {given[:64]!r}") from None
