"""Watching a run: its annotated pictures as moving JPEG, on this machine's loopback address only."""

import os
import secrets
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from html import escape
from typing import Final

from aiohttp import web

from videofleet_clip.errors import FAILED, ClipError
from videofleet_worker.outputs.live import Viewers
from videofleet_worker.server.streaming import stream_pictures

_HOST: Final = "127.0.0.1"
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<style>body{{margin:0;background:#18191d;display:grid;place-items:center;min-height:100vh}}
img{{max-width:100vw;max-height:100vh}}</style><img src="live.mjpg" alt="{name}">
"""

FindViewers = Callable[[], Awaitable[Viewers]]
"""Those of the run, once it has begun."""


@asynccontextmanager
async def previewed(name: str, port: int, viewers: FindViewers) -> AsyncIterator[str]:
    """Serve a page with the pictures; its address, which nobody guesses. Raises ClipError where the port is taken."""
    key = secrets.token_urlsafe(8)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE.format(name=escape(name)), content_type="text/html")

    async def live(request: web.Request) -> web.StreamResponse:
        # Who opens the page at once is ahead of the run.
        return await stream_pictures(request, await viewers())

    app = web.Application()
    app.add_routes([web.get(f"/{key}/", page), web.get(f"/{key}/live.mjpg", live)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, _HOST, port).start()
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise ClipError(f"--port {port}: {reason}: give another one, or 0 for any", FAILED) from None
        yield f"http://{_HOST}:{runner.addresses[0][1]}/{key}/"
    finally:
        await runner.cleanup()


def show_window(address: str) -> bool:
    """Open the page in a browser where there is a display; whether that was tried."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and webbrowser.open(address)
