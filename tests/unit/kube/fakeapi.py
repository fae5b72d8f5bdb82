"""An API server's wire format on a real socket, with faults on demand. Validates nothing but preconditions.

What it does as the real one does is asserted against the real one by tests/cluster/kube.
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from videofleet_kube.merge import apply_merge

Json = dict[str, Any]
Fault = Callable[[web.Request], web.StreamResponse | None]


def status(code: int, reason: str, message: str = "refused", /, **details: Any) -> Json:
    """A Status object of the API."""
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def refusal(
    code: int, reason: str, message: str = "refused", headers: Json | None = None, **details: object
) -> web.Response:
    """An error response of the API."""
    return web.json_response(status(code, reason, message, **details), status=code, headers=headers)


@dataclass
class Stream:
    """One open watch."""

    collection: str
    namespace: str | None
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    transport: asyncio.Transport | None = None

    def wants(self, collection: str, obj: Json) -> bool:
        return self.collection == collection and self.namespace in (None, obj["metadata"].get("namespace"))


@dataclass(frozen=True)
class Route:
    """A request's path, taken apart."""

    collection: str
    namespace: str | None
    name: str | None
    subresource: str | None

    @classmethod
    def of(cls, path: str) -> Route:
        parts = path.strip("/").split("/")
        group = parts[:2] if parts[0] == "api" else parts[:3]
        rest = parts[len(group) :]
        namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 2 else None
        rest = rest[2:] if namespace is not None else rest
        rest += [""] * (3 - len(rest))
        return cls("/".join([*group, rest[0]]), namespace, rest[1] or None, rest[2] or None)


class FakeApi:
    """State, history and faults of the server; `host` is where it listens."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.streams: list[Stream] = []
        self.requests: list[tuple[str, str, Json]] = []
        """Method, path and query or body of every request."""
        self.headers: list[Json] = []
        self.faults: list[Fault] = []
        """Asked in turn for each request; the first that answers is used up."""
        self.always: Fault = lambda _: None
        """Asked for each request, never used up."""
        self.streaming = True
        self.oldest = 0
        """Watches and pages from before this version are Gone."""
        self.muted = False
        """Nothing is sent to watches; what happens is only in the history."""
        self.loses: Callable[[web.Request], bool] = lambda _: False
        """Whether a request is carried out and its answer lost."""
        self.page_size: int | None = None
        self.flowing = asyncio.Event()
        """While cleared, requests are taken and not answered."""
        self.flowing.set()
        self._history: list[tuple[int, str, str, Json]] = []
        self._snapshots: dict[str, tuple[int, list[Json]]] = {}
        self._server: TestServer | None = None

    async def __aenter__(self) -> FakeApi:
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(application)
        await self._server.start_server(shutdown_timeout=0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.flowing.set()
        self.end()
        assert self._server is not None
        await self._server.close()

    @property
    def host(self) -> str:
        assert self._server is not None
        return str(self._server.make_url("")).rstrip("/")

    # What the world does

    def put(self, collection: str, namespace: str, name: str, **fields: Any) -> Json:
        """Create the object or change it."""
        known = self.objects.get((collection, namespace, name))
        self.version += 1
        metadata = {"namespace": namespace, "name": name, "uid": str(uuid.uuid4())} if known is None else {}
        obj = apply_merge(apply_merge(copy.deepcopy(known or {}), fields), {"metadata": metadata})
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.objects[collection, namespace, name] = obj
        self._publish("ADDED" if known is None else "MODIFIED", collection, obj)
        return obj

    def remove(self, collection: str, namespace: str, name: str) -> Json:
        """Delete the object."""
        obj = copy.deepcopy(self.objects.pop((collection, namespace, name)))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._publish("DELETED", collection, obj)
        return obj

    def collection(self, collection: str) -> list[Json]:
        """What exists of one kind."""
        return [obj for (kind, _, _), obj in self.objects.items() if kind == collection]

    # What goes wrong

    def fail(self, method: str, response: Callable[[], web.StreamResponse], times: int = 1, path: str = "") -> None:
        """Answer the next requests of this method, to paths that end so, otherwise."""

        def fault(request: web.Request) -> web.StreamResponse | None:
            return response() if request.method == method and request.path.endswith(path) else None

        self.faults += [fault] * times

    def say(self, kind: str, obj: Json) -> None:
        """Send a line to every watch, true or not."""
        self.raw(orjson.dumps({"type": kind, "object": obj}) + b"\n")

    def bookmark(self) -> None:
        """Tell every watch how far it has come."""
        self.say("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def raw(self, line: bytes) -> None:
        """Send bytes to every watch."""
        for stream in self.streams:
            stream.lines.put_nowait(line)

    def cut(self, remains: bytes = b"") -> None:
        """Break every watch's connection, after some bytes."""
        for stream in self.streams:
            stream.lines.put_nowait(remains + b"\x00cut")

    def end(self) -> None:
        """End every watch in an orderly way, as its timeout does."""
        for stream in self.streams:
            stream.lines.put_nowait(None)

    def expire(self) -> None:
        """Forget the history; running watches hear of it."""
        self.oldest = self.version + 1
        self._history.clear()
        self._snapshots.clear()
        self.say("ERROR", status(410, "Expired", "too old resource version"))
        self.end()

    def restore(self, version: int) -> None:
        """Go back to an earlier version, as from a backup; what changed since is the test's to undo in `objects`."""
        self.version = version
        self._history.clear()

    def watch_count(self) -> int:
        """Watches opened so far."""
        return sum(query.get("watch") == "true" for method, _, query in self.requests if method == "GET")

    # HTTP

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read() or b"{}")
        self.requests.append((request.method, request.path, dict(request.query) if request.method == "GET" else body))
        self.headers.append(dict(request.headers))
        await self.flowing.wait()
        for index, fault in enumerate(self.faults):
            if (response := fault(request)) is not None:
                del self.faults[index]
                return response
        if (response := self.always(request)) is not None:
            return response
        response = await self._carry_out(request, body)
        return refusal(504, "Timeout", "the answer was lost") if self.loses(request) else response

    async def _carry_out(self, request: web.Request, body: Any) -> web.StreamResponse:
        route = Route.of(request.path)
        match request.method:
            case "GET" if "watch" in request.query:
                return await self._watch(request, route)
            case "GET" if route.name is None:
                return self._list(request, route)
            case "POST":
                return self._create(route, body)
        return self._change(request, route, body)

    def _change(self, request: web.Request, route: Route, body: Any) -> web.Response:
        key = (route.collection, route.namespace or "", route.name or "")
        known = self.objects.get(key)
        if known is None:
            return refusal(404, "NotFound", f"{route.name} not found")
        match request.method:
            case "PATCH":
                return self._patch(key, known, body)
            case "DELETE":
                wanted = body.get("preconditions", {})
                if any(value != known["metadata"][key] for key, value in wanted.items()):
                    return refusal(409, "Conflict", "the UID in the precondition does not match")
                return web.json_response(self.remove(*key))
        return web.json_response(known)

    def _list(self, request: web.Request, route: Route) -> web.Response:
        token = request.query.get("continue")
        if token is None:
            items = [
                o for o in self.collection(route.collection) if route.namespace in (None, o["metadata"]["namespace"])
            ]
            version, start = self.version, 0
            snapshot = uuid.uuid4().hex
            self._snapshots[snapshot] = (version, items)
        else:
            snapshot, _, offset = token.partition(":")
            if snapshot not in self._snapshots:
                return refusal(410, "Expired", "the continue token is too old")
            (version, items), start = self._snapshots[snapshot], int(offset)
        end = start + int(self.page_size or request.query.get("limit", "500"))
        metadata: Json = {"resourceVersion": str(version)}
        if end < len(items):
            metadata["continue"] = f"{snapshot}:{end}"
        return web.json_response({"metadata": metadata, "items": items[start:end]})

    def _create(self, route: Route, body: Json) -> web.Response:
        name = body["metadata"]["name"]
        if (route.collection, route.namespace or "", name) in self.objects:
            return refusal(409, "AlreadyExists", f"{name} already exists")
        return web.json_response(self.put(route.collection, route.namespace or "", name, **body), status=201)

    def _patch(self, key: tuple[str, str, str], known: Json, body: Any) -> web.Response:
        if isinstance(body, list):
            return self._json_patch(key, known, body)
        metadata = body.get("metadata", {})
        if metadata.get("resourceVersion") not in (None, known["metadata"]["resourceVersion"]):
            return refusal(409, "Conflict", "the object has been modified")
        if metadata.get("uid") not in (None, known["metadata"]["uid"]):
            return refusal(422, "Invalid", "uid is immutable", causes=[{"field": "metadata.uid"}])
        return web.json_response(self.put(*key, **body))

    def _json_patch(self, key: tuple[str, str, str], known: Json, body: list[Json]) -> web.Response:
        changed = copy.deepcopy(known)
        for operation in body:
            *parents, last = operation["path"].strip("/").split("/")
            target = changed
            for parent in parents:
                target = target[parent]
            if operation["op"] == "test" and target.get(last) != operation["value"]:
                return refusal(422, "Invalid", "the server rejected our request due to an error in our request")
            if operation["op"] == "add" and isinstance(target, list):
                assert last == "-", "only the end of a list is added to"
                target.append(operation["value"])
            elif operation["op"] == "add":
                target[last] = operation["value"]
            elif operation["op"] == "remove":
                del target[int(last) if isinstance(target, list) else last]
        self.objects[key] = changed
        return web.json_response(self.put(*key))

    async def _watch(self, request: web.Request, route: Route) -> web.StreamResponse:
        initial = request.query.get("sendInitialEvents") == "true"
        if initial and not self.streaming:
            return refusal(422, "Invalid", "sendInitialEvents is forbidden for watch", causes=[{"field": "x"}])
        since = self.version if initial else int(request.query["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since < self.oldest - 1:
            error = {"type": "ERROR", "object": status(410, "Expired", f"too old resource version: {since}")}
            await response.write(orjson.dumps(error) + b"\n")
            return response
        stream = Stream(route.collection, route.namespace, transport=request.transport)
        self._begin(stream, since, initial)
        self.streams.append(stream)
        try:
            await self._pump(stream, response)
        finally:
            self.streams.remove(stream)
        return response

    def _begin(self, stream: Stream, since: int, initial: bool) -> None:
        if initial:
            for obj in self.collection(stream.collection):
                if stream.wants(stream.collection, obj):
                    stream.lines.put_nowait(_line("ADDED", obj))
            annotations = {"k8s.io/initial-events-end": "true"}
            end = {"metadata": {"resourceVersion": str(since), "annotations": annotations}}
            stream.lines.put_nowait(_line("BOOKMARK", end))
        for version, kind, collection, obj in self._history:
            if version > since and stream.wants(collection, obj):
                stream.lines.put_nowait(_line(kind, obj))

    async def _pump(self, stream: Stream, response: web.StreamResponse) -> None:
        while (line := await stream.lines.get()) is not None:
            if line.endswith(b"\x00cut"):
                await response.write(line.removesuffix(b"\x00cut"))
                assert stream.transport is not None
                await asyncio.sleep(0.005)
                stream.transport.abort()
                return
            await response.write(line)

    def _publish(self, kind: str, collection: str, obj: Json) -> None:
        obj = copy.deepcopy(obj)
        self._history.append((self.version, kind, collection, obj))
        for stream in self.streams:
            if not self.muted and stream.wants(collection, obj):
                stream.lines.put_nowait(_line(kind, obj))


def _line(kind: str, obj: Json) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"
