"""How a web server is told who asks: Basic (RFC 7617) and Digest (RFC 7616, and 2069 as old cameras speak it)."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.request import parse_http_list, parse_keqv_list

_HASHES: Final[dict[str, Callable[[bytes], str]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


@dataclass
class Login:
    """A user's name and password, and what the server has said about how it wants to hear them."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    _challenge: dict[str, str] | None = field(default=None, init=False, repr=False)
    _basic: bool = field(default=False, init=False)
    _count: int = field(default=0, init=False)

    def challenged(self, headers: Sequence[str]) -> bool:
        """Take in the WWW-Authenticate headers of a 401; False: nothing more can be said to the server.

        A challenge that follows an answer says no to it, unless only its nonce had become stale.
        """
        answered = self._basic or self._challenge is not None
        for header in headers:
            scheme, _, rest = header.strip().partition(" ")
            if scheme.lower() == "digest":
                return self._take_digest(parse_keqv_list(parse_http_list(rest)), answered)
        if answered or not any(header.strip().lower().startswith("basic") for header in headers):
            return False
        self._basic = True
        return True

    def header(self, method: str, target: str) -> str | None:
        """The Authorization header for a request; None while the server has not asked."""
        if self._basic:
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return None if self._challenge is None else self._digest(self._challenge, method, target)

    def _take_digest(self, challenge: dict[str, str], answered: bool) -> bool:
        known = challenge.get("algorithm", "MD5").upper().removesuffix("-SESS") in _HASHES
        if not known or (answered and challenge.get("stale", "").lower() != "true"):
            return False
        self._challenge, self._count = challenge, 0
        return True

    def _digest(self, challenge: dict[str, str], method: str, target: str) -> str:
        algorithm = challenge.get("algorithm", "MD5").upper()
        hashed = _HASHES[algorithm.removesuffix("-SESS")]
        realm, nonce = challenge.get("realm", ""), challenge.get("nonce", "")
        self._count += 1
        count, own = f"{self._count:08x}", secrets.token_hex(8)
        who = hashed(f"{self.user}:{realm}:{self.password}".encode())
        if algorithm.endswith("-SESS"):
            who = hashed(f"{who}:{nonce}:{own}".encode())
        what = hashed(f"{method}:{target}".encode())
        fields = {"username": self.user, "realm": realm, "nonce": nonce, "uri": target}
        if "auth" in [each.strip() for each in challenge.get("qop", "").split(",")]:
            fields["response"] = hashed(f"{who}:{nonce}:{count}:{own}:auth:{what}".encode())
            bare = f', qop=auth, nc={count}, cnonce="{own}"'
        else:
            fields["response"] = hashed(f"{who}:{nonce}:{what}".encode())
            bare = f', cnonce="{own}"' if algorithm.endswith("-SESS") else ""
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        quoted = ", ".join(f'{key}="{_escaped(value)}"' for key, value in fields.items())
        return f"Digest {quoted}{bare}" + (f", algorithm={challenge['algorithm']}" if "algorithm" in challenge else "")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
