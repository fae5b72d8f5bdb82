"""The worker's interface for the operator and for readers."""

from collections.abc import Callable

import orjson
from aiohttp import web
from pydantic import ValidationError

from videofleet_api.names import OPERATOR_CLIENT_NAME
from videofleet_api.probe import ProbeRequest
from videofleet_api.protocol import AssignmentConflict, AssignmentSet, WorkerInfo
from videofleet_archive.errors import ArchiveError
from videofleet_worker.probing import BusyError, Prober
from videofleet_worker.server.access import ApiError, check_access, common_name, errors_as_json
from videofleet_worker.server.direct import DirectRoutes
from videofleet_worker.server.problems import problems
from videofleet_worker.server.results import ResultRoutes
from videofleet_worker.server.streaming import stream
from videofleet_worker.server.vision import VisionRoutes
from videofleet_worker.supervisor import DrainingError, Supervisor
from videofleet_worker.vision import Looker

_LARGEST_REQUEST = 64 * 1024 * 1024


class ControlRoutes:
    """Info, assignments, events, drain, looks at sources."""

    def __init__(self, supervisor: Supervisor, info: Callable[[], WorkerInfo], prober: Prober) -> None:
        self._supervisor = supervisor
        self._info = info
        self._prober = prober

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [
            web.get("/v1/info", self.info),
            web.put("/v1/assignments", self.assign),
            web.get("/v1/events", self.events),
            web.get("/v1/notes", self.notes),
            web.post("/v1/drain", self.drain),
            web.post("/v1/probe", self.probe),
        ]

    async def info(self, request: web.Request) -> web.Response:
        """Who this worker is and what it can do."""
        return _json(self._info().wire())

    async def assign(self, request: web.Request) -> web.Response:
        """Take the whole desired set."""
        try:
            wanted = AssignmentSet.model_validate_json(await request.read())
        except ValidationError as error:
            raise ApiError(400, "BAD_REQUEST", problems(error)) from None
        try:
            answer = self._supervisor.apply(wanted)
        except DrainingError as error:
            raise ApiError(503, "DRAINING", str(error)) from error
        return _json(answer.wire(), status=409 if isinstance(answer, AssignmentConflict) else 200)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """NDJSON without end."""
        after = _after(request.query.get("after"))
        operator = common_name(request) == OPERATOR_CLIENT_NAME
        return await stream(request, "application/x-ndjson", self._supervisor.hub.lines(after, operator=operator))

    async def notes(self, request: web.Request) -> web.Response:
        """What was noted in the archive for this operator's jobs."""
        fleet = request.query.get("fleet")
        if not fleet:
            raise ApiError(400, "BAD_REQUEST", "fleet is missing: whose notes are asked for")
        try:
            return _json((await self._supervisor.notes(fleet)).wire())
        except ArchiveError as error:
            raise ApiError(503, "ARCHIVE", str(error)) from error

    async def drain(self, request: web.Request) -> web.Response:
        """Stop everything, seal it, and say how it was left."""
        reports = await self._supervisor.drain()
        return _json({"reports": [report.wire() for report in reports]})

    async def probe(self, request: web.Request) -> web.Response:
        """Open a source for a moment and say what it is like."""
        try:
            asked = ProbeRequest.model_validate_json(await request.read())
        except ValidationError as error:
            raise ApiError(400, "BAD_REQUEST", problems(error)) from None
        try:
            return _json((await self._prober.probe(asked)).wire())
        except BusyError as error:
            raise ApiError(429, "BUSY", str(error)) from error


def api_app(supervisor: Supervisor, info: Callable[[], WorkerInfo], prober: Prober, looker: Looker) -> web.Application:
    """The application behind mutual TLS."""
    app = web.Application(middlewares=[errors_as_json, check_access], client_max_size=_LARGEST_REQUEST)
    app.add_routes(ControlRoutes(supervisor, info, prober).routes())
    app.add_routes(VisionRoutes(looker, lambda: supervisor.draining).routes())
    app.add_routes(ResultRoutes(supervisor).routes())
    app.add_routes(DirectRoutes(supervisor).routes())
    return app


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def _after(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    instance, separator, number = text.rpartition(":")
    if not separator or not (number.isascii() and number.isdigit()):
        raise ApiError(400, "BAD_REQUEST", f"after must be INSTANCE:SEQUENCE, got {text!r}")
    return instance, int(number)
