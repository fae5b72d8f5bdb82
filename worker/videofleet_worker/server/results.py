"""What readers get of a job: its log, its summary, its pictures."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from aiohttp import WSCloseCode, web

from videofleet_api.results import FiledTrack
from videofleet_archive.errors import ArchiveError, BelowHorizonError, BeyondEndError
from videofleet_archive.reader import offset_at
from videofleet_archive.results import results_key, snapshot_key
from videofleet_archive.threads import StoreThreads
from videofleet_archive.tracks import line_of, read_tracks
from videofleet_archive.view import LogView
from videofleet_worker.outputs.shots import Shot
from videofleet_worker.server.access import ApiError
from videofleet_worker.server.streaming import WEBSOCKET_HEARTBEAT, stream, stream_pictures, until_closed
from videofleet_worker.supervisor import Running, Supervisor

_DEFAULT_ANALYTICS: Final = "main"
_LONGEST_ID: Final = 18
_LINES: Final = 1000
"""Tracks that are read at once."""
_EXAMPLE: Final = "2026-01-31T08:00:00Z"

T = TypeVar("T")


class ResultRoutes:
    """Everything below /v1/jobs/{uid}."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [
            web.get("/v1/jobs/{uid}/chunks", self.chunks),
            web.get("/v1/jobs/{uid}/results", self.results),
            web.get("/v1/jobs/{uid}/tracks", self.tracks),
            web.get("/v1/jobs/{uid}/snapshot.jpg", self.snapshot),
            web.get("/v1/jobs/{uid}/shots", self.shots),
            web.get("/v1/jobs/{uid}/shots/{track}.jpg", self.shot),
            web.get("/v1/jobs/{uid}/live", self.live),
            web.get("/v1/jobs/{uid}/live.mjpg", self.mjpeg),
        ]

    async def chunks(self, request: web.Request) -> web.StreamResponse:
        """The bytes of the log from an offset on, then those to come, until the run is over here."""
        one, view = self._view(request)
        offset = await _begin(request, one, view)
        try:
            view.check(offset)
        except BelowHorizonError as error:
            raise ApiError(410, "BELOW_HORIZON", str(error), oldest=error.oldest) from error
        except BeyondEndError as error:
            raise ApiError(416, "BEYOND_END", str(error), end=error.end) from error
        return await stream(request, "text/event-stream", view.read(offset))

    async def results(self, request: web.Request) -> web.Response:
        """results.json of a recorded source, once the run is over."""
        one, view = self._view(request)
        data = await _read(one, results_key(view.prefix))
        if data is None:
            why = "the run has not ended, or its source is endless: there is no summary"
            raise ApiError(404, "NOT_FINISHED", why)
        return web.Response(body=data, content_type="application/json")

    async def tracks(self, request: web.Request) -> web.StreamResponse:
        """The tracks that have ended, `from` a time on, a line each; of a log that tells events."""
        one, view = self._view(request)
        text, threads = request.query.get("from"), one.run.logs.threads
        since = _time(text) if text is not None else 0.0
        tracks = await _from_archive(threads.call(read_tracks, threads.store, view.prefix, since))
        if tracks is None:
            raise ApiError(404, "NO_TRACKS", "this log tells every frame (outputs.archive.detail), and no tracks")
        return await stream(request, "application/x-ndjson", _lines(threads, tracks))

    async def snapshot(self, request: web.Request) -> web.Response:
        """The annotated picture."""
        one, view = self._view(request)
        picture = await one.run.logs.pictures[_analytics(request, one)].snapshot()
        if picture is None:
            picture = await _read(one, snapshot_key(view.prefix))
        if picture is None:
            raise ApiError(404, "NO_PICTURE", "there is no picture yet")
        return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def shots(self, request: web.Request) -> web.Response:
        """The tracks that have a best shot; of those that are still there also what it shows."""
        one, _ = self._view(request)
        shots = one.run.logs.shots[_analytics(request, one)]
        open_tracks = {shot.track_id: shot for shot in shots.tracks}
        numbers = await _from_archive(shots.numbers())
        listed = [_shot(number, open_tracks.get(number)) for number in numbers]
        return web.json_response({"shots": listed}, headers={"Cache-Control": "no-store"})

    async def shot(self, request: web.Request) -> web.Response:
        """The best picture of a track."""
        one, _ = self._view(request)
        track = request.match_info["track"]
        if not (track.isascii() and track.isdigit() and len(track) <= _LONGEST_ID):
            raise ApiError(400, "BAD_REQUEST", f"a track id is a number, got {track!r}")
        picture = await _from_archive(one.run.logs.shots[_analytics(request, one)].read(int(track)))
        if picture is None:
            raise ApiError(404, "NO_PICTURE", f"there is no picture of a track {track}")
        return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Annotated pictures as they are analysed; a viewer that is slow misses some."""
        one, _ = self._view(request)
        viewers = one.run.logs.pictures[_analytics(request, one)].viewers
        socket = web.WebSocketResponse(heartbeat=WEBSOCKET_HEARTBEAT, compress=False)
        await socket.prepare(request)
        with viewers.enter() as viewer:
            listening = asyncio.create_task(until_closed(socket, viewer.leave))
            try:
                async for picture in viewer.pictures():
                    await socket.send_bytes(picture)
            except ConnectionError:
                return socket
            finally:
                listening.cancel()
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the job has ended here")
        return socket

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """The same as one answer without end, as browsers and players take it (multipart/x-mixed-replace)."""
        one, _ = self._view(request)
        viewers = one.run.logs.pictures[_analytics(request, one)].viewers
        return await stream_pictures(request, viewers)

    def _view(self, request: web.Request) -> tuple[Running, LogView]:
        uid = request.match_info["uid"]
        one = self._supervisor.find(uid)
        if one is None:
            raise ApiError(404, "UNKNOWN_JOB", f"no job {uid} is assigned to this worker")
        name = _analytics(request, one)
        return one, one.run.logs.views[name]


def _analytics(request: web.Request, one: Running) -> str:
    """The analytics that a request is about: the one named, else main, else the first."""
    views = one.run.logs.views
    if not views:
        raise ApiError(503, "NOT_READY", "the job has not opened its results yet")
    name = request.query.get("analytics") or (_DEFAULT_ANALYTICS if _DEFAULT_ANALYTICS in views else next(iter(views)))
    if name not in views:
        raise ApiError(404, "UNKNOWN_ANALYTICS", f"no analytics {name!r} in this job; it has {', '.join(views)}")
    return name


async def _begin(request: web.Request, one: Running, view: LogView) -> int:
    """Where a reader begins: at an offset, or with the first result that was captured `from` a time on."""
    text = request.query.get("from")
    if text is None or request.query.get("offset") is not None:
        return _offset(request, view, is_live=one.run.is_live)
    threads = one.run.logs.threads
    return await _from_archive(threads.call(offset_at, threads.store, view.prefix, view.extent, _time(text)))


def _time(text: str) -> float:
    """Unix seconds, or a time as in RFC 3339."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ApiError(400, "BAD_REQUEST", f"from must be Unix seconds or a time such as {_EXAMPLE}, got {text!r}")
    return time.timestamp()


def _offset(request: web.Request, view: LogView, *, is_live: bool) -> int:
    """Without an offset a run that has no end is read from now on, any other from its beginning."""
    text = request.query.get("offset") or request.headers.get("Last-Event-ID")
    if text is None:
        return view.extent.end if is_live and not view.closed else view.extent.start
    if text == "oldest":
        return view.extent.start
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, "BAD_REQUEST", f"offset must be a number of bytes or oldest, got {text!r}")
    return int(text)


def _shot(track_id: int, shot: Shot | None) -> dict[str, object]:
    if shot is None:
        return {"track_id": track_id, "ended": True}
    left, top, right, bottom = shot.area
    return {
        "track_id": track_id,
        "ended": False,
        "class": shot.label,
        "confidence": round(shot.confidence, 4),
        "quality": round(shot.quality, 2),
        "frame_index": shot.moment.frame_index,
        "pts": shot.moment.pts,
        "capture_time": shot.moment.capture_time,
        "area": {"left": left, "top": top, "width": right - left, "height": bottom - top},
    }


async def _lines(threads: StoreThreads, tracks: Iterator[FiledTrack]) -> AsyncGenerator[bytes, None]:
    while lines := await threads.call(lambda: [line_of(track) for track in islice(tracks, _LINES)]):
        yield b"".join(lines)


async def _read(one: Running, key: str) -> bytes | None:
    threads = one.run.logs.threads
    return await _from_archive(threads.call(threads.store.read, key))


async def _from_archive(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except ArchiveError as error:
        raise ApiError(503, "ARCHIVE", str(error)) from error
