"""What the API server can answer, as exceptions. Whether to try again is in the type.

Retryable: the same request may succeed later. Permanent: it will not; read, decide and write anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .resources import Json


class ApiError(Exception):
    """A request that the API server did not fulfil.

    `status` is the HTTP status (0: no answer came), `reason` the machine-readable word of the answer.
    """

    retryable = False

    def __init__(self, message: str, *, status: int = 0, reason: str = "", details: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details = details or {}

    @property
    def cause_fields(self) -> list[str]:
        """The fields that the server named as causes, empty when it named none."""
        causes: list[Any] = self.details.get("causes") or []
        return [str(cause["field"]) for cause in causes if cause.get("field")]


class RetryableError(ApiError):
    """The same request may succeed later."""

    retryable = True


class PermanentError(ApiError):
    """The same request will fail again."""


class Unavailable(RetryableError):
    """5xx, a broken or refused connection, a timeout. A write may or may not have happened."""


class TooManyRequests(RetryableError):
    """429; `retry_after` is what the server asked for, in seconds, None when it did not say. Nothing was written."""

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class Unauthorized(RetryableError):
    """401 even with freshly read credentials; they rotate, so a later try may pass."""


class BadRequest(PermanentError):
    """400, and every 4xx without a type of its own."""


class Forbidden(PermanentError):
    """403: RBAC, admission or a quota refuses it."""


class NotFound(PermanentError):
    """404 to a write (to a read it is None)."""


class Conflict(PermanentError):
    """409: the object changed since the version the write was planned on."""


class AlreadyExists(Conflict):
    """409 to a create: an object of that name is there."""


class Gone(PermanentError):
    """410: the requested version or continue token is too old (or, after a restore, from the future); list anew."""


class Invalid(PermanentError):
    """422: validation refused the object, or a test in a JSON patch failed."""


_TYPES: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    410: Gone,
    422: Invalid,
}


def error_from_status(status: Json, code: int, retry_after: str | None = None) -> ApiError:
    """The exception for a `Status` object of the API, or for whatever else came with an error code."""
    message = str(status.get("message") or f"the API server answered {code}")
    reason = str(status.get("reason") or "")
    details = status.get("details")
    facts: dict[str, Any] = {
        "status": code,
        "reason": reason,
        "details": details if isinstance(details, dict) else None,
    }
    if reason in ("Expired", "Gone") or _version_too_large(details):
        return Gone(message, **facts)
    if code == 429:
        return TooManyRequests(message, retry_after=_seconds(retry_after, details), **facts)
    if code >= 500:
        return Unavailable(message, **facts)
    if code == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(message, **facts)
    return _TYPES.get(code, BadRequest)(message, **facts)


def error_from_response(code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The exception for an HTTP answer of 400 or more. A body that is no Status is cut to 200 characters."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict):
        text = body[:200].decode("utf-8", "replace").strip()
        status = {"message": f"the API server answered {code}: {text}" if text else ""}
    return error_from_status(status, code, headers.get("Retry-After"))


def _version_too_large(details: Any) -> bool:
    """A server restored from a backup has not reached our version and would have us wait for it (504)."""
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(cause.get("reason") == "ResourceVersionTooLarge" for cause in causes or [])


def _seconds(header: str | None, details: Any) -> float | None:
    """Retry-After in seconds: the header's if it is a number, else the Status's."""
    if header is not None and header.strip().isdecimal():
        return float(header)
    asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(asked) if isinstance(asked, int | float) and asked > 0 else None
