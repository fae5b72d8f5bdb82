"""What stands before every part of the page: who is there, where they come from, what a browser may load."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videofleet_gateway.auth import check_may_write
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.sessions import COOKIE, Sessions
from videofleet_gateway.store.keys import Project

PATH: Final = "/ui"
SIGN_IN: Final = f"{PATH}/sign-in"
_FOR_READERS: Final = (SIGN_IN, f"{PATH}/sign-out", f"{PATH}/_nicegui")
"""Where something is sent that changes nothing."""
_NICEGUI: Final = f"{PATH}/_nicegui"
"""Its own files, and `_nicegui_ws`, its socket."""
_FOR_ALL: Final = (SIGN_IN, f"{_NICEGUI}/", f"{PATH}/static/")
_CHANGES_NOTHING: Final = ("GET", "HEAD")
_REFUSED: Final = 1008

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing; this one sees where a form was sent from.
    "Referrer-Policy": "same-origin",
}
"""Unless a page says otherwise."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, perhaps for hours."""

    sessions: Sessions
    cookie: str | None

    async def project(self) -> Project | None:
        """On whose behalf; None: nobody that is known."""
        return await self.sessions.project_of(self.cookie)


@dataclass(frozen=True, slots=True)
class Guard:
    """`pages`: the routes; `nicegui`: what the live pages are made of."""

    pages: ASGIApp
    nicegui: ASGIApp
    sessions: Sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a socket in, or turn it away. Raises GatewayError."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        if scope["method"] not in _CHANGES_NOTHING and not _is_from_here(connection.headers):
            raise GatewayError(Failure.FORBIDDEN, "a form is taken only from this page itself")
        if scope["method"] not in _CHANGES_NOTHING and not scope["path"].startswith(_FOR_READERS):
            await self._check_may_write(connection)
        if await self._knows(connection) or scope["path"].startswith(_FOR_ALL):
            await self._inner(scope)(scope, receive, _with_headers(send))
        elif scope["method"] in _CHANGES_NOTHING:
            await _to_sign_in(scope)(scope, receive, _with_headers(send))
        else:
            raise GatewayError(Failure.UNAUTHENTICATED, "you are not signed in any more: sign in and send it again")

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if scope["path"].startswith(_NICEGUI) and _is_from_here(connection.headers) and await self._knows(connection):
            await self.nicegui(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _REFUSED})

    async def _knows(self, connection: HTTPConnection) -> bool:
        visitor = Visitor(self.sessions, connection.cookies.get(COOKIE))
        project = await visitor.project()
        connection.state.project, connection.state.visitor = project, visitor
        return project is not None

    async def _check_may_write(self, connection: HTTPConnection) -> None:
        project = await Visitor(self.sessions, connection.cookies.get(COOKIE)).project()
        if project is not None:
            check_may_write(project)

    def _inner(self, scope: Scope) -> ASGIApp:
        return self.nicegui if scope["path"].startswith(_NICEGUI) else self.pages


def _is_from_here(headers: Headers) -> bool:
    """Browsers say where a form or a socket comes from; the cookie alone is not relied on."""
    origin = urlsplit(headers.get("origin", "")).netloc
    return origin != "" and origin in (headers.get("host"), headers.get("x-forwarded-host"))


def _to_sign_in(scope: Scope) -> RedirectResponse:
    wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", status_code=303)


def _with_headers(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            _default(headers, _HEADERS.items())
        await send(message)

    return send_on


def _default(headers: MutableHeaders, values: Iterable[tuple[str, str]]) -> None:
    for name, value in values:
        headers.setdefault(name, value)
