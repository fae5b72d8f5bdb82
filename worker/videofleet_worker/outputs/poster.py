"""The way out for results: HTTP posts to where the pool's outputPolicy allows them, and nowhere else."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from videofleet_api.outputs import OUTPUT_SCHEMES, OutputPolicy
from videofleet_worker.reach import AddressPolicy


class ForbiddenError(Exception):
    """The pool does not allow the address."""


class Poster:
    """Posts for all jobs of the worker. A name is resolved for each connection, its addresses are checked, and one of
    those is connected to; redirects are not followed."""

    def __init__(self, policy: OutputPolicy, own: Iterable[str] = ()) -> None:
        """`own`: addresses of the cluster that are closed unless the policy names them."""
        self._schemes = tuple(policy.schemes) or OUTPUT_SCHEMES
        self._policy = AddressPolicy("outputPolicy", policy.allowed_cidrs, policy.denied_cidrs, own)
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, verify_tls: bool = True
    ) -> int:
        """The status of the answer. Raises ForbiddenError, TimeoutError, ValueError for what cannot be sent, and
        aiohttp.ClientError."""
        target = URL(url)
        self._check(target)
        limit = aiohttp.ClientTimeout(total=timeout)
        async with self._opened().post(
            target, data=body, headers=headers, timeout=limit, ssl=verify_tls, allow_redirects=False
        ) as response:
            return response.status

    async def close(self) -> None:
        """Leave all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Each outlet has one post on the way at most; a limit would let one receiver that hangs hold up others.
            connector = aiohttp.TCPConnector(limit=0, resolver=_CheckedResolver(self._policy), use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "videofleet"}
            )
        return self._session

    def _check(self, url: URL) -> None:
        if url.scheme not in self._schemes:
            raise ForbiddenError(f"the pool's outputPolicy allows {', '.join(self._schemes)}, but not {url.scheme}")
        host = url.host or ""
        if _is_disguised(host):
            raise ForbiddenError(f"{host} cannot be checked against the pool's outputPolicy: write it as four numbers")
        # The resolver is not asked about numeric addresses.
        if _is_numeric(host) and (refusal := self._policy.refusal(host)) is not None:
            raise ForbiddenError(f"{host} must not be reached: {refusal}")


class _CheckedResolver(AbstractResolver):
    """Gives a name's addresses that may be reached. Raises ForbiddenError where there is none of them."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys((kind, str(address[0])) for kind, _, _, _, address in found))
        refusals = [self._policy.refusal(address) for _, address in addresses]
        allowed = [one for one, refusal in zip(addresses, refusals, strict=True) if refusal is None]
        if not allowed and addresses:
            raise ForbiddenError(f"{host} ({addresses[0][1]}) must not be reached: {refusals[0]}")
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=flags)
            for kind, address in allowed
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _is_disguised(host: str) -> bool:
    """Whether some systems take it for an IPv4 address although it is not written like one: 127.1, 0x7f000001."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return not _is_numeric(host) and (last.isdigit() or last.startswith("0x"))


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
