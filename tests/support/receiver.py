"""A receiver of posts, on the loopback address, that remembers what it got and answers as it is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Post:
    """A post that came, and at which Unix time."""

    path: str
    headers: dict[str, str]
    body: bytes
    sender: int = 0
    """The port that it came from, which tells connections apart."""
    received: float = field(default_factory=time.time)

    @property
    def json(self) -> Any:
        """The body of a JSON post."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, bytes]:
        """The fields of a form."""
        whole = message_from_bytes(f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + self.body)
        parts = [part for part in whole.get_payload() if isinstance(part, Message)]
        return {str(part.get_param("name", header="content-disposition")): _data(part) for part in parts}


def _data(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


@dataclass
class Receiver:
    """`statuses` are the next answers; then `usual`. A path `/hang` is never answered."""

    port: int = 0
    posts: list[Post] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    usual: int = 200
    taken: list[Post] = field(default_factory=list)
    """Those that were answered with 200."""

    def url(self, path: str = "/") -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Post]:
        """What came to a path."""
        return [post for post in self.posts if post.path == path]

    async def take(self, request: web.Request) -> web.Response:
        """Remember a post and answer."""
        sender = request.transport.get_extra_info("peername")[1] if request.transport else 0
        post = Post(request.path, dict(request.headers), await request.read(), sender)
        self.posts.append(post)
        if request.path == "/hang":
            await asyncio.Event().wait()
        status = self.statuses.pop(0) if self.statuses else self.usual
        if status == 200:
            self.taken.append(post)
        headers = {"Location": self.url("/elsewhere")} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on the port, or a free one."""
    receiver = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
