"""What every live page has around it, and how it is sent: as strictly as NiceGUI allows."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from nicegui import Client, background_tasks, ui
from starlette.requests import Request
from starlette.responses import Response

from videofleet_gateway.errors import GatewayError
from videofleet_gateway.web.documents import PLACES, STYLE
from videofleet_gateway.web.elements import Node
from videofleet_gateway.web.guard import PATH, SIGN_IN, Visitor

_PAGE: Final = ui.page(PATH)
"""Its settings are those of the whole application."""
_SCRIPT: Final = b"<script"
_HEAD: Final = f'{STYLE}<script src="{PATH}/static/page.js" defer></script>'
_POPUP: Final = b'<div id="popup"'
"""What NiceGUI shows while it has no connection."""

_TRY_AGAIN: Final = 2.0
"""Seconds."""
_SEEN_EVERY: Final = 15.0

Work = Callable[[], Coroutine[Any, Any, None]]


async def page(request: Request, title: str, here: str, build: Callable[[Client], Awaitable[None]]) -> Response:
    """A live page; `build` fills its main part. It keeps up with the world as long as a browser shows it."""
    with Client(_PAGE, request=request) as client:
        client.title = f"{title} - videofleet"
        client._head_html = _HEAD
        _navigation(here).move(client.layout, 0)
        Node("h1", title)
        await build(client)
        return _strict(client.build_response(request))


def while_open(client: Client, visitor: Visitor, work: Work) -> None:
    """Have something done from when the browser connects until it has left; what goes wrong is told, and tried again.

    The page is left for the one to sign in as soon as its visitor's key is none any more.
    """
    problem = Node("p", classes="problem", role="alert")
    problem.move(target_index=1)
    running: list[asyncio.Task[Any]] = []

    def begin() -> None:
        # A browser that comes back after a break finds it running.
        if not running:
            running.append(background_tasks.create(_keep_at(work, problem), name="page"))
            running.append(background_tasks.create(_see_out(client, visitor), name="visitor"))

    client.on_connect(begin)
    client.on_delete(lambda: [task.cancel() for task in running])


async def _keep_at(work: Work, problem: Node) -> None:
    while True:
        try:
            await work()
        except GatewayError as error:
            problem.say(error.message)
            await asyncio.sleep(error.retry_after or _TRY_AGAIN)
            problem.say("")
        else:
            return


async def _see_out(client: Client, visitor: Visitor) -> None:
    while True:
        await asyncio.sleep(_SEEN_EVERY)
        if await visitor.project() is None:
            break
    client.open(SIGN_IN.removeprefix(PATH))


def _navigation(here: str) -> Node:
    header = Node("header")
    with header:
        with Node("nav", aria_label="Pages"), Node("ul"):
            for path, name in PLACES:
                with Node("li"):
                    Node("a", name, href=path, **({"aria_current": "page"} if path == here else {}))
        with Node("form", method="post", action=f"{PATH}/sign-out"):
            Node("button", "Sign out")
    return header


def _strict(response: Response) -> Response:
    """Only scripts of this very answer and of the gateway itself run.

    Nothing that comes from outside can be one of them: NiceGUI sends texts and attributes as JSON in which `<` is
    escaped. Styles are inline in NiceGUI's page; there they can show nothing that is not there.
    """
    nonce = secrets.token_urlsafe(16)
    body = bytes(response.body).replace(_POPUP, _POPUP + b' role="alert"')
    response.body = body.replace(_SCRIPT, f'<script nonce="{nonce}"'.encode())
    response.headers["Content-Length"] = str(len(response.body))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return response
