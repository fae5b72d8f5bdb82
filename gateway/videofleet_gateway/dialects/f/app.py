"""The application of F: its routes."""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import FastAPI, Path, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from videofleet_gateway import auth
from videofleet_gateway.context import Context
from videofleet_gateway.dialects.f import asyncapi, ids, openapi, settings
from videofleet_gateway.dialects.f.catalogue import DIALECT, Catalogue, Entry
from videofleet_gateway.dialects.f.documents import job_document
from videofleet_gateway.dialects.f.errors import render
from videofleet_gateway.dialects.f.links import SECRET_NAME, base_url, links
from videofleet_gateway.dialects.f.views import Views
from videofleet_gateway.dialects.f.wanted import edit, masked
from videofleet_gateway.serving.applications import application
from videofleet_gateway.serving.asyncapi import serve
from videofleet_gateway.serving.bodies import json_object
from videofleet_gateway.serving.cors import Cors
from videofleet_gateway.serving.door import REQUEST_ID, Crowd, Door
from videofleet_gateway.serving.openapi import describe
from videofleet_gateway.serving.packing import Packing
from videofleet_gateway.store.keys import Project

CORS: Final = Cors("authorization, content-type, x-request-id", f"Retry-After, Warning, {REQUEST_ID}")
_JSON: Final = "application/json"
_LONGEST_WARNING: Final = 1024
_log: Final = logging.getLogger(__name__)

Id = Annotated[str, Path(description="Id of the job, percent-encoded: any text.")]


def create_app(context: Context, crowd: Crowd) -> ASGIApp:
    """F with everything before it."""
    app = application("Video object detection API", "Jobs of video-manager.", "1", render, "/openapi.json")
    Routes(context).add(app)
    return Door(Packing(_AsWritten(app)), DIALECT, render, context.config, context.metrics, crowd, CORS)


class _AsWritten:
    """Routes by the path as the client wrote it: an escaped slash is part of an id, a last one is nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if raw is not None:
            scope = {**scope, "path": raw.decode("latin-1").partition("?")[0].rstrip("/") or "/"}
        await self._app(scope, receive, send)


class Routes:
    """One method a route."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jobs = Catalogue(context, settings.of_file(context.config.f_settings_file))
        self._views = Views(context, self._secret)
        self._link_secret: bytes | None = None

    def add(self, app: FastAPI) -> None:
        """To the application."""
        app.get("/jobs", openapi_extra=openapi.JOBS)(self.listing)
        app.get("/job/{job_id}", openapi_extra=openapi.JOB)(self.job)
        app.post("/job/{job_id}", openapi_extra=openapi.BODY)(self.create)
        app.patch("/job/{job_id}", openapi_extra=openapi.BODY)(self.change)
        app.delete("/job/{job_id}", openapi_extra=openapi.NOTHING)(self.delete)
        app.post("/job/{job_id}/restart", openapi_extra=openapi.JOB)(self.restart)
        app.get("/streams/{uid}/shot.jpg", response_class=Response, openapi_extra=openapi.SHOT)(self._views.shot)
        app.websocket("/streams/{uid}/restream")(self._views.restream)
        app.websocket("/streams/{uid}/direct")(self._views.direct)
        describe(app, openapi.DESCRIPTION)
        serve(app, asyncapi.PATH, asyncapi.DOCUMENT)

    async def listing(self, request: Request) -> Response:
        """All jobs."""
        caller = await self._caller(request)
        entries = await self._jobs.listing(caller.namespace)
        return _json([await self._document(request, entry, caller) for entry in entries])

    async def job(self, request: Request, job_id: Id) -> Response:
        """One job."""
        caller = await self._caller(request)
        entry = await self._jobs.find(caller.namespace, _id(job_id))
        return _json(await self._document(request, entry, caller))

    async def create(self, request: Request, job_id: Id) -> Response:
        """Make a job."""
        writer = await self._writer(request)
        identifier = _id(job_id)
        change = edit(await json_object(request))
        made = await self._jobs.create(writer.namespace, identifier, change)
        return await self._told(request, made, change.warnings)

    async def change(self, request: Request, job_id: Id) -> Response:
        """Change what is given of a job."""
        entry = await self._found(request, job_id)
        change = edit(await json_object(request))
        return await self._told(request, await self._jobs.change(entry, change), change.warnings)

    async def delete(self, request: Request, job_id: Id) -> Response:
        """Take a job away."""
        await self._jobs.delete(await self._found(request, job_id))
        return _json({})

    async def restart(self, request: Request, job_id: Id) -> Response:
        """Have a job begin anew."""
        return await self._told(request, await self._jobs.restart(await self._found(request, job_id)))

    async def _found(self, request: Request, job_id: str) -> Entry:
        """A job, for one who may change it. Raises GatewayError."""
        writer = await self._writer(request)
        return await self._jobs.find(writer.namespace, _id(job_id))

    async def _writer(self, request: Request) -> Project:
        caller = await self._caller(request)
        auth.check_may_write(caller)
        return caller

    async def _caller(self, request: Request) -> Project:
        """Who asks, and where he has his jobs. Raises GatewayError."""
        key = auth.bearer(request.headers)
        anonymous = self._context.config.f_anonymous_namespace
        if anonymous and "authorization" not in request.headers:
            caller = Project("", anonymous)
        else:
            caller = await auth.project_of(self._context.keys, key)
        if limit := self._context.config.f_requests_per_minute:
            await self._context.windows.check(f"{DIALECT}/{caller.id}", limit)
        return caller

    async def _told(self, request: Request, entry: Entry, warnings: Sequence[str] = ()) -> Response:
        for warning in warnings:
            _log.warning("%s", warning, extra={"job": entry.job.name})
        return _json(await self._document(request, entry), warnings)

    async def _document(self, request: Request, entry: Entry, caller: Project | None = None) -> dict[str, Any]:
        """The job as it is told; to a caller who only reads without what leads into the source."""
        job = entry.job
        base = base_url(self._context.config.public_url, request.url.scheme, Headers(scope=request.scope))
        views = links(base if self._context.workers.reachable else "", await self._secret(), job)
        wanted = entry.wanted if caller is None or caller.may_write else masked(entry.wanted)
        return job_document(entry.id, job.generation, wanted, job.status, views)

    async def _secret(self) -> bytes:
        """What addresses of views are signed with, the same at every replica."""
        if self._link_secret is None:
            self._link_secret = await self._context.keys.shared_secret(SECRET_NAME)
        return self._link_secret


def _id(segment: str) -> str:
    return ids.id_of(segment.encode("latin-1"))


def _json(document: object, warnings: Sequence[str] = ()) -> Response:
    response = Response(orjson.dumps(document), media_type=_JSON)
    if warnings:
        told = ", ".join(f'299 videofleet "{_quoted(warning)}"' for warning in warnings)
        response.headers["Warning"] = told[:_LONGEST_WARNING]
    return response


def _quoted(text: str) -> str:
    """As a quoted string in a header: what is not printable ASCII is left out."""
    return "".join(char for char in text if char.isascii() and char.isprintable() and char not in '"\\')
