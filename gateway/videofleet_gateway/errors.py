"""What can be wrong with a request, said once for all dialects; each gives it a body and a code of its own."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from starlette.responses import Response

from videofleet_api.redaction import redact_text
from videofleet_kube.errors import ApiError, Conflict, Invalid, NotFound, TooManyRequests


class Failure(StrEnum):
    """Why a request was not fulfilled."""

    MALFORMED = "malformed_request"
    """It cannot be read."""
    INVALID = "invalid_request"
    """It can be read, and something in it is wrong."""
    UNAUTHENTICATED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NOT_READY = "not_ready"
    """It is not there yet."""
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    DELETING = "deleting"
    """It is being deleted, and not gone yet."""
    TOO_SLOW = "request_timeout"
    """Its body did not come."""
    GONE = "gone"
    TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA = "unsupported_media_type"
    OUT_OF_RANGE = "range_not_satisfiable"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal_error"
    NOT_IMPLEMENTED = "not_implemented"
    UNAVAILABLE = "service_unavailable"
    TIMED_OUT = "timeout"
    """It took longer than anybody waits."""


HTTP_STATUS: Final[dict[Failure, int]] = {
    Failure.MALFORMED: 400,
    Failure.INVALID: 400,
    Failure.UNAUTHENTICATED: 401,
    Failure.FORBIDDEN: 403,
    Failure.NOT_FOUND: 404,
    Failure.NOT_READY: 404,
    Failure.METHOD_NOT_ALLOWED: 405,
    Failure.TOO_SLOW: 408,
    Failure.CONFLICT: 409,
    Failure.DELETING: 423,
    Failure.GONE: 410,
    Failure.TOO_LARGE: 413,
    Failure.UNSUPPORTED_MEDIA: 415,
    Failure.OUT_OF_RANGE: 416,
    Failure.RATE_LIMITED: 429,
    Failure.INTERNAL: 500,
    Failure.NOT_IMPLEMENTED: 501,
    Failure.UNAVAILABLE: 503,
    Failure.TIMED_OUT: 504,
}

_OF_STATUS: Final[dict[int, Failure]] = {
    status: failure for failure, status in reversed(HTTP_STATUS.items()) if failure is not Failure.INVALID
}


def failure_of_status(status: int) -> Failure:
    """What a framework's own answer of this HTTP status means."""
    return _OF_STATUS.get(status, Failure.INTERNAL if status >= 500 else Failure.MALFORMED)


class GatewayError(Exception):
    """A request that is not fulfilled. `message` is for people and holds no credentials.

    `param` and `value`: what of the request is wrong; `retry_after`: seconds after which another try may pass.
    """

    def __init__(
        self,
        failure: Failure,
        message: str,
        *,
        param: str | None = None,
        value: object = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = redact_text(message)
        self.param = param
        self.value = value
        self.retry_after = retry_after
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return HTTP_STATUS[self.failure]


Render = Callable[[GatewayError], Response]
"""An error as a dialect, or another port, tells it."""


def not_found(what: str) -> GatewayError:
    """There is no such thing, or it is another project's, which is the same to the one who asks."""
    return GatewayError(Failure.NOT_FOUND, what)


def invalid(param: str, message: str, value: object = None) -> GatewayError:
    """One field of a request is wrong."""
    return GatewayError(Failure.INVALID, message, param=param, value=value)


def of_api(error: ApiError) -> GatewayError:
    """What an answer of the API server to a change of a VideoJob means to the one who asked for it."""
    match error:
        case Invalid():
            # The server quotes scalars in front of the sentences of the rules.
            return GatewayError(Failure.INVALID, f"the job was refused: {error}", param=_first(error.cause_fields))
        case Conflict():
            return GatewayError(Failure.CONFLICT, f"the job was changed or exists already: {error}")
        case NotFound():
            return not_found(f"it is not there any more: {error}")
        case TooManyRequests():
            return GatewayError(Failure.UNAVAILABLE, "the API server is overloaded", retry_after=error.retry_after or 1)
        case _ if error.retryable:
            return GatewayError(Failure.UNAVAILABLE, "the API server cannot be reached", retry_after=1)
        case _:
            return GatewayError(Failure.UNAVAILABLE, f"the API server refuses: {error}")


def _first(fields: list[str]) -> str | None:
    return fields[0] if fields else None
