"""Errors as F tells them: {"code", "desc"}, and "param" and "value" where a parameter is at fault."""

from typing import Final

import orjson
from starlette.responses import Response

from videofleet_api.redaction import redact_text
from videofleet_gateway.errors import Failure, GatewayError

CODES: Final[dict[Failure, str]] = {
    Failure.INTERNAL: "UNKNOWN_ERROR",
    Failure.INVALID: "BAD_PARAM",
    Failure.MALFORMED: "MALFORMED_REQUEST",
    Failure.NOT_READY: "CACHE_MISS",
    Failure.CONFLICT: "CONFLICT",
    Failure.NOT_FOUND: "NOT_FOUND",
    Failure.UNAVAILABLE: "SERVICE_UNAVAILABLE",
    # Beyond the reference's table.
    Failure.UNAUTHENTICATED: "UNAUTHORIZED",
    Failure.FORBIDDEN: "FORBIDDEN",
    Failure.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    Failure.DELETING: "DELETING",
    Failure.TOO_SLOW: "REQUEST_TIMEOUT",
    Failure.GONE: "GONE",
    Failure.TOO_LARGE: "REQUEST_TOO_LARGE",
    Failure.UNSUPPORTED_MEDIA: "UNSUPPORTED_MEDIA_TYPE",
    Failure.OUT_OF_RANGE: "OUT_OF_RANGE",
    Failure.RATE_LIMITED: "TOO_MANY_REQUESTS",
    Failure.NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    Failure.TIMED_OUT: "TIMEOUT",
}
"""What each failure is called."""

_PARAMS: Final = (
    ("spec.outputs.router.eventsUrl", "router_events_url"),
    ("spec.outputs.router.url", "router_url"),
    ("spec.outputs.router", "router_url"),
    ("spec.streamSettings", "stream_settings"),
    ("spec.source", "stream_url"),
    ("spec.labels", "labels"),
    ("spec.singlePass", "single_pass"),
    ("spec.enabled", "enabled"),
    ("metadata", "id"),
)
"""Fields that the API server refuses, as those who post a job know them."""


def render(error: GatewayError) -> Response:
    """The answer that tells an error."""
    body: dict[str, object] = {"code": CODES[error.failure], "desc": error.message}
    if error.failure is Failure.INVALID:
        body |= {"param": _param(error.param), "value": shown(error.value)}
    return Response(orjson.dumps(body), error.status, media_type="application/json")


def shown(value: object) -> object:
    """A value as it may be told again: texts without credentials."""
    match value:
        case str():
            return redact_text(value)
        case dict():
            return {redact_text(str(key)): shown(item) for key, item in value.items()}
        case list():
            return [shown(item) for item in value]
        case _:
            return value


def _param(field: str | None) -> str:
    for begin, name in _PARAMS:
        if field is not None and field.startswith(begin):
            return name
    return field or ""
