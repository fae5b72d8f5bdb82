"""A source as it is, for whoever can decode it: H.264 as fragmented MP4, MJPEG as JPEG, over WebSocket."""

import asyncio
from typing import Final

from aiohttp import WSCloseCode, web

from videofleet_worker.decode.direct import DIRECT_CODECS
from videofleet_worker.server.access import ApiError
from videofleet_worker.server.streaming import WEBSOCKET_HEARTBEAT, until_closed
from videofleet_worker.sources.direct import DirectFeed, DirectViewer, Farewell, Head
from videofleet_worker.supervisor import Running, Supervisor

_CLOSE_CODES: Final = {Farewell.ENDED: WSCloseCode.GOING_AWAY, Farewell.MASKED: WSCloseCode.POLICY_VIOLATION}


class DirectRoutes:
    """The direct view of jobs."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.get("/v1/jobs/{uid}/direct", self.direct)]

    async def direct(self, request: web.Request) -> web.StreamResponse:
        """A text message with the media type, a head, then a message a picture; all of it anew where the source begins
        anew. A viewer that is slow goes on with the next keyframe."""
        uid = request.match_info["uid"]
        one = self._supervisor.find(uid)
        if one is None:
            raise ApiError(404, "UNKNOWN_JOB", f"no job {uid} is assigned to this worker")
        feed = _feed(one)
        socket = web.WebSocketResponse(heartbeat=WEBSOCKET_HEARTBEAT, compress=False)
        await socket.prepare(request)
        with feed.enter() as viewer:
            listening = asyncio.create_task(until_closed(socket, lambda: viewer.leave(Farewell.ENDED)))
            try:
                await _show(viewer, socket)
            except ConnectionError:
                return socket
            finally:
                listening.cancel()
        farewell = viewer.farewell or Farewell.ENDED
        await socket.close(code=_CLOSE_CODES[farewell], message=farewell.value.encode())
        return socket


async def _show(viewer: DirectViewer, socket: web.WebSocketResponse) -> None:
    async for part in viewer.parts():
        if isinstance(part, Head):
            await socket.send_json({"mime_type": part.mime})
        if part.data:
            await socket.send_bytes(part.data)


def _feed(one: Running) -> DirectFeed:
    """What is to be watched. Raises ApiError where the job has no direct view."""
    if one.job.spec.privacy_masks:
        message = "the job has privacy masks, and the source as it is would show what is under them"
        raise ApiError(409, "PRIVACY_MASK", message, reason="PrivacyMask")
    source = one.run.source
    if source is None or source.info is None:
        raise ApiError(503, "NOT_READY", "the source is not open yet")
    if source.info.codec not in DIRECT_CODECS:
        message = f"the source is {source.info.codec}; watched directly can be {' and '.join(DIRECT_CODECS)}"
        raise ApiError(415, "UNSUPPORTED_CODEC", message, codec=source.info.codec)
    return source.direct
