"""HTTP posts to where the pool's outputPolicy allows them, and nowhere else."""

import socket
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from videofleet_worker.outputs.reach import OutputReach


class Poster:
    """Posts for all jobs of the worker. Redirects are not followed. See OutputReach."""

    def __init__(self, reach: OutputReach) -> None:
        self._reach = reach
        self._session: aiohttp.ClientSession | None = None
        # Who answered the last post with an error.
        self._refused: set[URL] = set()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, verify_tls: bool = True
    ) -> int:
        """The status of the answer. Raises ForbiddenError, TimeoutError, ValueError for what cannot be sent, and
        aiohttp.ClientError."""
        target = URL(url)
        if any(name.lower() == "authorization" for name in headers):
            # It says what a user in the address would say.
            target = target.with_user(None)
        self._reach.check(target.scheme, target.host or "")
        limit = aiohttp.ClientTimeout(total=timeout)
        if target.origin() in self._refused:
            headers = {**headers, "Connection": "close"}
        async with self._opened().post(
            target, data=body, headers=headers, timeout=limit, ssl=verify_tls, allow_redirects=False
        ) as response:
            if response.status >= 400:
                # It may be another one who answers by now: after one more post the name is looked up anew.
                self._refused.add(target.origin())
            else:
                self._refused.discard(target.origin())
            return response.status

    async def close(self) -> None:
        """Leave all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Each outlet has one post on the way at most; a limit would let one receiver that hangs hold up others.
            connector = aiohttp.TCPConnector(limit=0, resolver=_CheckedResolver(self._reach), use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "videofleet"}
            )
        return self._session


class _CheckedResolver(AbstractResolver):
    """Gives a name's addresses that may be reached. Raises ForbiddenError where there is none of them."""

    def __init__(self, reach: OutputReach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=flags)
            for kind, address in await self._reach.addresses(host, port, family)
        ]

    async def close(self) -> None:
        """Nothing is held."""
