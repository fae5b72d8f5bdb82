"""Which client of the RTSP server looks at which camera, and how to throw those of one camera out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .gst import GLib, GstRtspServer

_KEEP = GstRtspServer.RTSPFilterResult.KEEP
_REMOVE = GstRtspServer.RTSPFilterResult.REMOVE
# The server (1.22) has a client that it could not send to closed from its main loop, and holds no reference to it until
# then: one that had gone meanwhile, as its process was killed, crashed the simulator.
_OUTLIVED_SECONDS = 5


def camera_of(url_path: str, cameras: Iterable[str]) -> str | None:
    """The camera that an RTSP URL's path belongs to: `/cam1` itself or a stream below it such as `/cam1/stream=0`."""
    for camera in cameras:
        if url_path == camera or url_path.startswith(f"{camera}/"):
            return camera
    return None


class Viewers:
    """The clients of one server. All methods belong to the thread of the server's main loop."""

    def __init__(self, server: Any, cameras: Iterable[str]) -> None:
        self._server = server
        self._cameras = tuple(cameras)
        self._asked: dict[Any, str] = {}
        self._playing: dict[Any, str] = {}
        server.connect("client-connected", self._on_connected)

    def playing(self, camera: str) -> int:
        """How many clients play this camera."""
        return sum(1 for path in self._playing.values() if path == camera)

    def disconnect(self, camera: str | None) -> None:
        """Closes the connection of every client that asked for this camera; None means every client."""

        def client(_server: Any, client: Any) -> Any:
            return _REMOVE if camera is None or self._asked.get(client) == camera else _KEEP

        def session(_pool: Any, session: Any) -> Any:
            return _REMOVE if camera is None or _plays(session, camera) else _KEEP

        # Sessions first: one of a UDP viewer outlives its connection and would go on sending.
        self._server.get_session_pool().filter(session)
        self._server.client_filter(client)

    def _on_connected(self, _server: Any, client: Any) -> None:
        client.connect("describe-request", self._on_asked)
        client.connect("setup-request", self._on_asked)
        client.connect("play-request", self._on_play)
        client.connect("teardown-request", lambda client, _context: self._playing.pop(client, None))
        client.connect("closed", self._on_closed)

    def _on_asked(self, client: Any, context: Any) -> None:
        camera = camera_of(context.uri.abspath, self._cameras)
        if camera is not None:
            self._asked[client] = camera

    def _on_play(self, client: Any, _context: Any) -> None:
        if client in self._asked:
            self._playing[client] = self._asked[client]

    def _on_closed(self, client: Any) -> None:
        self._asked.pop(client, None)
        self._playing.pop(client, None)
        GLib.timeout_add_seconds(_OUTLIVED_SECONDS, lambda _client: GLib.SOURCE_REMOVE, client)


def _plays(session: Any, camera: str) -> bool:
    media, _matched = session.get_media(camera)
    return media is not None
