"""Pages of other origins may call a dialect: with keys in headers, never with cookies."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

_METHODS: Final = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_DAY: Final = "86400"


@dataclass(frozen=True, slots=True)
class Cors:
    """What a dialect allows; header names as they are told."""

    allow_headers: str
    expose_headers: str

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """The answer to a browser that asks before it sends; None where this is no such question. Needs no key."""
        if method != "OPTIONS" or "origin" not in headers or "access-control-request-method" not in headers:
            return None
        allowed = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": self.allow_headers,
            "Access-Control-Max-Age": _DAY,
        }
        return Response(status_code=204, headers=allowed)

    def mark(self, request: Headers, answer: MutableHeaders) -> None:
        """Let a page of another origin read the answer."""
        if "origin" in request:
            answer["Access-Control-Allow-Origin"] = "*"
            answer["Access-Control-Expose-Headers"] = self.expose_headers
