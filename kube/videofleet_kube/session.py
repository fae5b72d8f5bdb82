"""The one HTTP session to the API server: verbs in, parsed objects or typed errors out.

It never retries by itself, but for one thing: after a 401 the credentials are read anew and the request sent once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from .credentials import Credentials, ServerAccess
from .errors import NotFound, Unauthorized, Unavailable, error_from_response
from .kubeconfig import CredentialsError
from .resources import Json, Resource

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLICATION_JSON = "application/json"

MAX_RETIRED = 2
"""Connection pools on superseded TLS files that are kept for what still runs on them."""

log = logging.getLogger(__name__)

Query = Mapping[str, str | int | None]
Body = Json | list[Json]


class ApiSession:
    """A client of one API server; an async context manager. `timeout` is the default of every request, seconds."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float = 10.0,
        user_agent: str = "videofleet",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self.requests = 0
        """Requests sent since the start, watches included."""
        self._credentials = credentials
        self._user_agent = user_agent
        self._clock = clock
        self._access: ServerAccess | None = None
        self._loaded_at = 0.0
        self._expired = False
        self._client: aiohttp.ClientSession | None = None
        self._retired: list[aiohttp.ClientSession] = []
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._loaded_at = self._clock()
        await self._open(await self._credentials.load())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; running watches end."""
        for client in [self._client, *self._retired]:
            if client is not None:
                await client.close()
        self._client = None
        self._retired.clear()

    async def get(
        self, resource: Resource, namespace: str | None, name: str, *, timeout: float | None = None
    ) -> Json | None:
        """The object, or None when there is none."""
        try:
            return await self._request("GET", resource.path(namespace, name), timeout=timeout)
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        query: Query | None = None,
        *,
        timeout: float | None = None,
    ) -> Json:
        """One page of a collection as the server sends it (`items`, `metadata.continue`)."""
        return await self._request("GET", resource.path(namespace), query=query, timeout=timeout)

    async def create(
        self, resource: Resource, namespace: str | None, body: Json, *, timeout: float | None = None
    ) -> Json:
        """Create and return the object as stored; AlreadyExists when the name is taken."""
        return await self._request("POST", resource.path(namespace), body=body, timeout=timeout)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Json, *, timeout: float | None = None
    ) -> Json:
        """Replace the object; with `metadata.resourceVersion` in the body only at that version (else Conflict)."""
        return await self._request("PUT", resource.path(namespace, name), body=body, timeout=timeout)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body,
        *,
        subresource: str | None = None,
        timeout: float | None = None,
    ) -> Json:
        """Patch: an object is a JSON merge patch (RFC 7396), a list a JSON patch (RFC 6902)."""
        kind = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
        path = resource.path(namespace, name, subresource)
        return await self._request("PATCH", path, body=body, content_type=kind, timeout=timeout)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
        timeout: float | None = None,
    ) -> Json | None:
        """Delete; with `uid` only that incarnation, with `version` only that version (else Conflict).

        None when there is no such object.
        """
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": version}
        if any(preconditions.values()):
            body["preconditions"] = {key: value for key, value in preconditions.items() if value is not None}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            body["propagationPolicy"] = propagation
        try:
            return await self._request("DELETE", resource.path(namespace, name), body=body, timeout=timeout)
        except NotFound:
            return None

    @asynccontextmanager
    async def watch(
        self, resource: Resource, namespace: str | None, query: Query, *, timeout: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and yield its raw chunks; `timeout` limits the opening only, silence is for the caller."""
        client, access = await self._ready()
        limit = timeout or self.timeout
        path = resource.path(namespace)
        try:
            async with asyncio.timeout(limit):
                response = await client.get(
                    access.host + path,
                    params=_params({"watch": "true", **query}),
                    headers=_headers(access),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=limit),
                    **_route(access),
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable("GET", path, error, limit) from error
        self.requests += 1
        async with response:
            if response.status >= 400:
                self._expired = self._expired or response.status == 401
                raise error_from_response(response.status, response.headers, await _body(response, path, limit))
            yield _chunks(response, path, limit)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        content_type: str = APPLICATION_JSON,
        timeout: float | None = None,
    ) -> Json:
        limit = self.timeout if timeout is None else timeout
        data = None if body is None else orjson.dumps(body)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        try:
            return await self._send(method, path, query, data, content_type, limit)
        except Unauthorized:
            # Tokens and certificates rotate under us; the files may hold newer ones already.
            await self._reload()
            return await self._send(method, path, query, data, content_type, max(0.1, deadline - loop.time()))

    async def _send(
        self, method: str, path: str, query: Query | None, data: bytes | None, content_type: str, limit: float
    ) -> Json:
        client, access = await self._ready()
        self.requests += 1
        try:
            async with client.request(
                method,
                access.host + path,
                params=_params(query or {}),
                data=data,
                headers=_headers(access, content_type if data is not None else None),
                timeout=aiohttp.ClientTimeout(total=limit),
                **_route(access),
            ) as response:
                payload = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(method, path, error, limit) from error
        if response.status >= 400:
            raise error_from_response(response.status, response.headers, payload)
        return _parse(method, path, payload)

    async def _ready(self) -> tuple[aiohttp.ClientSession, ServerAccess]:
        if self._access is None or self._client is None:
            raise CredentialsError("the API session is not open; use it as an async context manager")
        refresh_after = self._credentials.refresh_after
        if self._expired or (refresh_after is not None and self._clock() - self._loaded_at > refresh_after):
            await self._reload()
        return self._client, self._access

    async def _open(self, access: ServerAccess) -> None:
        """Take these credentials into use; connections are kept unless the TLS files changed."""
        if self._client is None or self._access is None or access.tls != self._access.tls:
            if self._client is not None:
                # Running requests and watches finish on the old connections; only new ones use the new files.
                self._retired.append(self._client)
            self._client = self._connect(access)
        self._access = access
        while len(self._retired) > MAX_RETIRED:
            await self._retired.pop(0).close()

    async def _reload(self) -> None:
        """Read the credentials anew. A failure is logged and the old ones stay in use: they may well be valid."""
        async with self._loading:
            self._loaded_at = self._clock()
            self._expired = False
            try:
                access = await self._credentials.load()
            except CredentialsError as error:
                log.warning("credentials of the API server not refreshed: %s", error)
                return
            await self._open(access)

    def _connect(self, access: ServerAccess) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=access.tls.context() if access.tls else True)
        headers = {
            "Accept": APPLICATION_JSON,
            # Inside a cluster the processor is scarcer than the network, on both ends.
            "Accept-Encoding": "identity",
            "User-Agent": self._user_agent,
        }
        return aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar())


def _headers(access: ServerAccess, content_type: str | None = None) -> dict[str, str]:
    """The token goes with each request, so that its rotation needs no new connection."""
    headers = {"Authorization": access.authorization} if access.authorization else {}
    return {**headers, "Content-Type": content_type} if content_type else headers


def _route(access: ServerAccess) -> dict[str, Any]:
    return {"server_hostname": access.server_hostname, "proxy": access.proxy, "allow_redirects": False}


def _params(query: Query) -> dict[str, str]:
    return {key: str(value) for key, value in query.items() if value is not None}


def _parse(method: str, path: str, payload: bytes) -> Json:
    try:
        parsed = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{method} {path}: the answer is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Unavailable(f"{method} {path}: the answer is a {type(parsed).__name__}, expected an object")
    return parsed


async def _body(response: aiohttp.ClientResponse, path: str, limit: float) -> bytes:
    try:
        async with asyncio.timeout(limit):
            return await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _unavailable("GET", path, error, limit) from error


async def _chunks(response: aiohttp.ClientResponse, path: str, limit: float) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise _unavailable("GET", path, error, limit) from error


def _unavailable(method: str, path: str, error: Exception, limit: float) -> Unavailable:
    if isinstance(error, TimeoutError):
        return Unavailable(f"{method} {path}: no answer within {limit:g} s", reason="Timeout")
    text = str(error) or type(error).__name__
    return Unavailable(f"{method} {path}: {text}", reason="Connection")
