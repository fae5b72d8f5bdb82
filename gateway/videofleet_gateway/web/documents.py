"""Pages without any script: forms and errors. Pure but for the file with their style."""

from html import escape
from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response

from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.web.guard import PATH, SIGN_IN

STATIC: Final = Path(__file__).parent / "static"
STYLE: Final = f'<link rel="stylesheet" href="{PATH}/static/page.css"><link rel="icon" href="{PATH}/static/icon.svg">'
PLACES: Final = ((f"{PATH}/tasks", "Video tasks"), (f"{PATH}/submit", "Submit a clip"), (f"{PATH}/streams", "Streams"))
"""What the navigation leads to."""


def document(title: str, body: str, *, here: str | None = None, status: int = 200) -> Response:
    """A page around `body` (HTML). `here`: which place of the navigation it is; None: there is no navigation."""
    header = "" if here is None else f"<header>{_navigation(here)}</header>"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - videofleet</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{STYLE}</head>'
        f'<body class="plain">{header}<main><h1>{escape(title)}</h1>{body}</main></body></html>',
        status_code=status,
    )


def _navigation(here: str) -> str:
    links = "".join(
        f'<li><a href="{path}"{" aria-current=page" if path == here else ""}>{escape(name)}</a></li>'
        for path, name in PLACES
    )
    leave = f'<form method="post" action="{PATH}/sign-out"><button>Sign out</button></form>'
    return f'<nav aria-label="Pages"><ul>{links}</ul></nav>{leave}'


def problem(message: str | None) -> str:
    """What is wrong with a form that was sent, read out by screen readers when the page appears."""
    return "" if message is None else f'<p id="problem" class="problem" role="alert">{escape(message)}</p>'


def sign_in(wanted: str, message: str | None = None) -> Response:
    """Asks for a key. `wanted`: where to go then."""
    wrong = ' aria-invalid="true" aria-describedby="problem"' if message else ""
    body = (
        f'{problem(message)}<form method="post" action="{SIGN_IN}" class="fields">'
        f'<input type="hidden" name="next" value="{escape(wanted)}">'
        '<label for="key">API key of your project</label>'
        f'<input id="key" name="key" type="password" autocomplete="current-password" required autofocus{wrong}>'
        "<button>Sign in</button></form>"
    )
    return document("Sign in", body, status=401 if message else 200)


def failure(error: GatewayError) -> Response:
    """The page that tells an error."""
    if error.failure is Failure.UNAUTHENTICATED:
        return sign_in(f"{PATH}/tasks", error.message)
    titles = {Failure.NOT_FOUND: "Not found", Failure.FORBIDDEN: "Not allowed", Failure.RATE_LIMITED: "Too often"}
    back = f'<p><a href="{PATH}/tasks">Video tasks</a></p>'
    return document(
        titles.get(error.failure, "This did not work"),
        f'<p class="problem" role="alert">{escape(error.message)}</p>{back}',
        here="",
        status=error.status,
    )
