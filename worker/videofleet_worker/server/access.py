"""Who may do what, by the common name of the client's certificate; and errors as JSON."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from videofleet_api.names import OPERATOR_CLIENT_NAME, READER_CLIENT_NAME
from videofleet_api.vision import VISION_PATH

_LOGGER: Final = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An answer other than success: HTTP status, a code for programs, a message for people."""

    def __init__(self, status: int, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def response(self) -> web.Response:
        """The answer."""
        body = {"code": self.code, "message": self.message} | self.details
        return web.json_response(body, status=self.status)


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The operator may do everything, a reader only read and ask about pictures of its own; the handshake has verified
    the certificate."""
    name = common_name(request)
    if name == OPERATOR_CLIENT_NAME:
        return await handler(request)
    if name == READER_CLIENT_NAME:
        if request.method in ("GET", "HEAD") or request.path == VISION_PATH:
            return await handler(request)
        raise ApiError(403, "FORBIDDEN", f"{name} may only read; {request.method} needs {OPERATOR_CLIENT_NAME}")
    raise ApiError(403, "FORBIDDEN", f"the client certificate is for {name or 'nobody'}, which has no rights here")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into {code, message}."""
    try:
        return await handler(request)
    except ApiError as error:
        return error.response()
    except web.HTTPException as error:
        code = error.reason.upper().replace(" ", "_")
        return ApiError(error.status, code, f"{request.method} {request.path}: {error.reason}").response()
    except ConnectionError:
        # The client has gone; there is nobody to answer.
        raise
    except Exception:
        _LOGGER.exception("a request failed unexpectedly", extra={"path": request.path})
        return ApiError(500, "INTERNAL", "the worker failed to answer; its log says why").response()


def common_name(request: web.Request) -> str | None:
    """The common name in the client's certificate."""
    certificate = request.get_extra_info("peercert") or {}
    for group in certificate.get("subject", ()):
        for key, value in group:
            if key == "commonName":
                return str(value)
    return None
