"""One receiver of results: a bounded queue, posts one after the other, tries again, counts what is lost."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from videofleet_worker.outputs.poster import ForbiddenError, Poster

_LOGGER: Final = logging.getLogger(__name__)
QUEUE: Final = 256
"""Messages that wait for a receiver; above that the oldest is lost."""
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0)
"""Pauses between the attempts at one message."""
_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses, besides those from 500 on, after which another attempt may succeed."""
_FOR_GOOD: Final = frozenset({"forbidden", "redirect", "refused", "no_picture"})
SIGNATURE: Final = "Videofleet-Signature"


@dataclass(frozen=True, slots=True)
class Payload:
    """What is posted: its bytes and the headers that belong to them."""

    body: bytes
    headers: Mapping[str, str]


Make = Callable[[], Awaitable[Payload | None]]
"""None: what it is about is no longer there."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to post. `key` names it, so that a receiver knows one that comes twice; it is made when it is sent."""

    key: str
    make: Make


@dataclass(frozen=True)
class Target:
    """Where and how it is posted; with a `secret` every post is signed."""

    url: str
    timeout: float = 15.0
    verify_tls: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)


class _LostError(Exception):
    """The message cannot be delivered."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Outlet:
    """Delivers to one receiver, in order. Nothing waits for it: a receiver that hangs loses its own messages only."""

    def __init__(self, name: str, target: Target, poster: Poster, retry_seconds: tuple[float, ...] = RETRY_SECONDS):
        self.name = name
        self.target = target
        self.posted = 0
        self.lost: Counter[str] = Counter()
        """Messages by cause: queue_full, forbidden, redirect, refused, failed, timeout, unreachable, tls, no_picture,
        stopped."""
        self._poster = poster
        self._retry_seconds = retry_seconds
        self._waiting: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        return len(self._waiting)

    def offer(self, message: Message) -> None:
        """Post it when those before it are through."""
        if len(self._waiting) >= QUEUE:
            # The first one is on its way.
            del self._waiting[1]
            self._lose("queue_full", "it takes posts more slowly than they come")
        self._waiting.append(message)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"post to {self.name}")

    async def close(self, seconds: float) -> None:
        """Deliver what waits for at most so long; the rest is lost."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
            await asyncio.wait([self._task])
        for _ in range(len(self._waiting)):
            self._lose("stopped", "the job has ended here")
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting:
            message = self._waiting[0]
            try:
                await self._deliver(message)
                self.posted += 1
            except _LostError as error:
                self._lose(error.cause, str(error))
            self._waiting.popleft()

    async def _deliver(self, message: Message) -> None:
        for delay in self._retry_seconds:
            try:
                await self._attempt(message)
            except _LostError as error:
                if error.cause in _FOR_GOOD:
                    raise
                await asyncio.sleep(delay)
            else:
                return
        await self._attempt(message)

    async def _attempt(self, message: Message) -> None:
        target = self.target
        payload = await message.make()
        if payload is None:
            raise _LostError("no_picture", "its picture could not be read")
        headers = {**target.headers, **payload.headers, "Idempotency-Key": message.key}
        if target.secret is not None:
            headers[SIGNATURE] = signature(target.secret, payload.body, int(time.time()))
        try:
            status = await self._poster.post(
                target.url, payload.body, headers, timeout=target.timeout, verify_tls=target.verify_tls
            )
        except ForbiddenError as error:
            raise _LostError("forbidden", str(error)) from error
        except TimeoutError as error:
            raise _LostError("timeout", f"it did not answer within {target.timeout:g} s") from error
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            raise _LostError("tls", f"its certificate cannot be trusted ({type(error).__name__})") from error
        except aiohttp.ClientError as error:
            raise _LostError("unreachable", f"it cannot be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise _LostError("refused", "its address or a header cannot be sent") from error
        _check_status(status)

    def _lose(self, cause: str, message: str) -> None:
        self.lost[cause] += 1
        # Once for each cause: of a receiver that is away nothing new can be said.
        if cause not in self._told:
            self._told.add(cause)
            host = urlsplit(self.target.url).hostname
            fields = {"output": self.name, "host": host, "cause": cause}
            _LOGGER.warning("a post was lost: %s", message, extra=fields)


def signature(secret: str, body: bytes, now: int) -> str:
    """`t=NOW,v1=HEX`, the HMAC-SHA256 (RFC 2104) of NOW, a full stop and the body; `now` in Unix seconds."""
    made = hmac.new(secret.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={made}"


def _check_status(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise _LostError("redirect", f"it answered {status}; redirects are not followed")
    if status in _AGAIN or status >= 500:
        raise _LostError("failed", f"it answered {status}")
    raise _LostError("refused", f"it answered {status}")
