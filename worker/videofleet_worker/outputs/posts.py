"""Posts over HTTP, signed where there is a key."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from videofleet_worker.outputs.poster import Poster
from videofleet_worker.outputs.reach import ForbiddenError
from videofleet_worker.outputs.sender import LostError, Message, made

SIGNATURE: Final = "Videofleet-Signature"
_AWAY: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that say that the receiver is not there now, or wants less."""


@dataclass(frozen=True)
class PostTarget:
    """Where and how it is posted; with a `secret` every post is signed."""

    url: str = field(repr=False)
    timeout: float = 15.0
    verify_tls: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)


class PostSender:
    """A message a post. See Sender."""

    def __init__(self, target: PostTarget, poster: Poster) -> None:
        self.host = urlsplit(target.url).hostname or ""
        self._target = target
        self._poster = poster

    async def send(self, message: Message) -> None:
        """See Sender."""
        target = self._target
        payload = await made(message)
        headers = {**target.headers, **payload.headers, "Idempotency-Key": message.key}
        if target.secret is not None:
            headers[SIGNATURE] = signature(target.secret, payload.body, int(time.time()))
        try:
            status = await self._poster.post(
                target.url, payload.body, headers, timeout=target.timeout, verify_tls=target.verify_tls
            )
        except ForbiddenError as error:
            raise LostError("forbidden", str(error), final=True) from error
        except TimeoutError as error:
            raise LostError("timeout", f"it did not answer within {target.timeout:g} s") from error
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            raise LostError("tls", f"its certificate cannot be trusted ({type(error).__name__})") from error
        except aiohttp.ClientError as error:
            raise LostError("unreachable", f"it cannot be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise LostError("refused", "its address or a header cannot be sent", final=True) from error
        _check_status(status)

    def close(self) -> None:
        """Connections are the poster's."""


def signature(secret: str, body: bytes, now: int) -> str:
    """`t=NOW,v1=HEX`, the HMAC-SHA256 (RFC 2104) of NOW, a full stop and the body; `now` in Unix seconds."""
    made_of = hmac.new(secret.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={made_of}"


def _check_status(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise LostError("redirect", f"it answered {status}; redirects are not followed", final=True)
    if status in _AWAY:
        raise LostError("away", f"it answered {status}")
    if status >= 500:
        raise LostError("failed", f"it answered {status}")
    raise LostError("refused", f"it answered {status}", final=True)
