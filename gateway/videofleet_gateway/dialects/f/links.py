"""Addresses of views: absolute, and good without any header, for those who have been given them."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from videofleet_gateway.dialects.f.documents import Links
from videofleet_gateway.jobs.job import Job

SECRET_NAME: Final = "f-links"
"""Of what the replicas sign addresses with."""
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


def token(secret: bytes, uid: str) -> str:
    """What the query of an address must hold, where it is masked with other credentials: HMAC-SHA256 (RFC 2104) of the
    job's uid, 32 hexadecimal digits."""
    return hmac.new(secret, uid.encode(), hashlib.sha256).hexdigest()[:32]


def is_good(secret: bytes, uid: str, given: str) -> bool:
    """Whether it is that; compared in constant time."""
    return hmac.compare_digest(token(secret, uid).encode(), given.encode())


def base_url(public: str, scheme: str, headers: Mapping[str, str]) -> str:
    """Where the client reaches the gateway: as it is configured, or as the request or a proxy before it says."""
    if public:
        return public.rstrip("/")
    told = headers.get("x-forwarded-proto", "").split(",")[0].strip()
    host = headers.get("x-forwarded-host", "").split(",")[0].strip() or headers.get("host", "")
    if not _HOST.fullmatch(host):
        return ""
    return f"{told if told in ('http', 'https') else scheme}://{host}"


def links(base: str, secret: bytes, job: Job) -> Links:
    """Of a job that a worker has; empty ones while none has."""
    if job.status.worker is None or not base:
        return Links()
    path, query = f"/streams/{job.uid}", f"?token={token(secret, job.uid)}"
    sockets = "ws" + base.removeprefix("http")
    return Links(f"{sockets}{path}/restream{query}", f"{sockets}{path}/direct{query}", f"{base}{path}/shot.jpg{query}")
