"""An HTTP server between operators and a real API server, which can be told to fail in every way that a network can.

Each replica gets a port of its own, so that it can be told apart, and partitioned. Requests reach the API server with
the proxy's credentials; nothing is invented but what a fault asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import yaml
from aiohttp import web

from tests.faults.proxy import streams
from tests.faults.proxy.calls import Call, read_call
from tests.faults.proxy.faults import (
    STATUS_REASONS,
    Budget,
    Delay,
    Kill,
    LoseAnswer,
    ProxyFault,
    Refuse,
    Stale,
    Where,
)
from videofleet_kube.credentials import ServerAccess

_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "authorization", "accept-encoding"})
_LISTS = Where(verbs=("LIST", "WATCH"))


@dataclass(slots=True)
class Replica:
    """One operator's way to the API server."""

    name: str
    kill: Callable[[], None]
    reachable: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def kubeconfig(self) -> str:
        """What its operator is started with; the proxy alone has credentials."""
        context = {"name": "faults", "context": {"cluster": "faults", "user": "faults"}}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "faults", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                "users": [{"name": "faults", "user": {"token": "the proxy has the credentials"}}],
                "contexts": [context],
                "current-context": "faults",
            }
        )


class FaultProxy:
    """Listens on loopback. `unlicensed`: VideoLicenses, of which a cluster has one, are not seen through it."""

    def __init__(
        self,
        upstream: ServerAccess,
        faults: Sequence[ProxyFault] = (),
        *,
        unlicensed: bool = True,
        snapshot: streams.Snapshot | None = None,
        on_write: Callable[[int, Call], None] = lambda _count, _call: None,
    ) -> None:
        self.budgets = [Budget(fault) for fault in faults]
        self.writes: list[tuple[float, Call]] = []
        """Every request that changed something or tried to, Lease and Events included, with its monotonic time."""
        self.counted = 0
        self._upstream = upstream
        self._unlicensed = unlicensed
        self._snapshot = snapshot
        self._on_write = on_write
        self._client: aiohttp.ClientSession | None = None
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> FaultProxy:
        tls = self._upstream.tls
        connector = aiohttp.TCPConnector(limit=0, ssl=tls.context() if tls else True)
        self._client = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def open(self, name: str, kill: Callable[[], None]) -> Replica:
        """A way for one more replica."""
        replica = Replica(name, kill)
        replica.reachable.set()

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(replica, request)

        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        replica.port = int(runner.addresses[0][1])
        return replica

    async def _handle(self, replica: Replica, request: web.Request) -> web.StreamResponse:
        call = read_call(replica.name, request.method, request.path, request.query)
        await replica.reachable.wait()
        if call.verb == "WATCH":
            return await self._watch(replica, call, request)
        if call.writes:
            self.writes.append((asyncio.get_running_loop().time(), call))
        kill = self._kill(call)
        if kill is not None and not kill.answered:
            replica.kill()
            _abort(request)
            return web.Response()
        fault = self._request_fault(call) if kill is None else None
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Refuse):
            return _refused(fault)
        stale = self._stale(call)
        try:
            status, headers, body = stale if stale is not None else await self._forward(call, request)
        finally:
            # Also where the operator did not wait for the answer.
            if kill is not None:
                replica.kill()
        await replica.reachable.wait()
        if isinstance(fault, LoseAnswer):
            return await _lost(request, status, body if fault.half else b"")
        return web.Response(status=status, headers=headers, body=body)

    # Faults

    def _kill(self, call: Call) -> Kill | None:
        """Count a write; the kill that is due at it."""
        if not call.counted:
            return None
        self.counted += 1
        self._on_write(self.counted, call)
        due = [budget.fault for budget in self.budgets if isinstance(budget.fault, Kill) and budget.strikes()]
        return next((fault for fault in due if isinstance(fault, Kill)), None)

    def _request_fault(self, call: Call) -> Refuse | LoseAnswer | Delay | None:
        for budget in self.budgets:
            fault = budget.fault
            if isinstance(fault, Refuse | LoseAnswer | Delay) and fault.where.matches(call) and budget.strikes():
                return fault
        return None

    def _stale_snapshot(self, call: Call) -> tuple[Stale, str, list[dict[str, object]]] | None:
        if self._snapshot is None or not _LISTS.matches(call) or (call.verb == "WATCH" and not call.initial):
            return None
        for budget in self.budgets:
            fault = budget.fault
            if isinstance(fault, Stale) and call.kind in fault.kinds:
                found = self._snapshot(call.kind, fault.versions)
                if found is not None and budget.strikes():
                    return (fault, *found)
        return None

    def _stale(self, call: Call) -> tuple[int, dict[str, str], bytes] | None:
        found = self._stale_snapshot(call) if call.verb == "LIST" else None
        if found is None:
            return None
        _, version, objects = found
        body = {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": objects}
        return 200, {"Content-Type": "application/json"}, orjson.dumps(body)

    # Passing on

    async def _forward(self, call: Call, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        async with self._send(call, request, dict(request.query), await request.read()) as response:
            body = await response.read()
            headers = {key: value for key, value in response.headers.items() if key.lower() not in _HOP}
            return response.status, headers, body

    def _send(self, call: Call, request: web.Request, query: dict[str, str], body: bytes) -> Any:
        assert self._client is not None, "the proxy is an async context manager"
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        if self._upstream.authorization:
            headers["Authorization"] = self._upstream.authorization
        if self._unlicensed and call.kind == "videolicenses" and call.verb in ("LIST", "WATCH"):
            query["fieldSelector"] = "metadata.name=of-another-plan"
        return self._client.request(
            request.method,
            self._upstream.host + request.path,
            params=query,
            headers=headers,
            data=body or None,
            server_hostname=self._upstream.server_hostname,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def _watch(self, replica: Replica, call: Call, request: web.Request) -> web.StreamResponse:
        fault = self._request_fault(call)
        if isinstance(fault, Refuse):
            return _refused(fault)
        query = dict(request.query)
        stale = self._stale_snapshot(call)
        first: list[bytes] = []
        if stale is not None:
            _, version, objects = stale
            first = streams.initial_lines(objects, _initial_end(version, objects))
            query = {key: value for key, value in query.items() if key not in _INITIAL} | {"resourceVersion": version}
        async with self._send(call, request, query, b"") as upstream:
            if upstream.status >= 400:
                return web.Response(status=upstream.status, body=await upstream.read())
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for line in first:
                await response.write(line + b"\n")
            if stale is not None:
                await asyncio.sleep(stale[0].seconds)
            events = streams.read_events(_lines(upstream.content), call.initial and stale is None)
            await self._pass_on(replica, call, events, request, response)
        return response

    async def _pass_on(
        self,
        replica: Replica,
        call: Call,
        events: streams.Events,
        request: web.Request,
        response: web.StreamResponse,
    ) -> None:
        budgets = [budget for budget in self.budgets if call.kind in getattr(budget.fault, "kinds", ())]
        try:
            async with contextlib.aclosing(streams.disturbed(events, budgets)) as told:
                async for event in told:
                    await replica.reachable.wait()
                    await response.write(event.line + b"\n")
        except streams.CutError as cut:
            await response.write(cut.partial)
            _abort(request)
        except (aiohttp.ClientError, OSError):
            _abort(request)


_INITIAL = ("sendInitialEvents", "resourceVersionMatch")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _initial_end(version: str, objects: Sequence[dict[str, object]]) -> dict[str, object]:
    like = objects[0] if objects else {"apiVersion": "v1", "kind": "Unknown"}
    annotations = {streams.INITIAL_END: "true"}
    metadata = {"resourceVersion": version, "annotations": annotations}
    return {"apiVersion": like["apiVersion"], "kind": like["kind"], "metadata": metadata}


def _refused(fault: Refuse) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"refused with {fault.status} (injected)",
        "reason": STATUS_REASONS.get(fault.status, "Unknown"),
        "code": fault.status,
    }
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(status, status=fault.status, headers=headers)


async def _lost(request: web.Request, status: int, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    if body:
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    _abort(request)
    return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
