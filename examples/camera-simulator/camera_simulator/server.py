"""The RTSP server: cameras by path, each with a fault that can be changed while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .access import AuthScheme, Credentials, Role, make_auth
from .clip import Clip
from .faults import Fault, Mount, mount_for
from .feed import Film
from .gst import GstRtspServer
from .media import make_factory
from .viewers import Viewers


@dataclass(frozen=True)
class RtspSettings:
    """Where the server listens and who may see the protected camera; port 0 takes a free one."""

    host: str
    port: int
    scheme: AuthScheme
    users: dict[Role, Credentials]


@dataclass
class Camera:
    """One path: what it plays, who may watch, and what is wrong with it."""

    path: str
    clips: dict[bool, Clip]  # by Mount.small
    black: Clip
    offset: int  # pictures that this camera is ahead of the first one
    audience: frozenset[Role]
    fault: Fault = Fault.NONE
    silent: threading.Event = field(default_factory=threading.Event)


class CameraServer:
    """Serves cameras in the default main context of GLib, to which thread all its methods belong."""

    def __init__(self, settings: RtspSettings, cameras: Iterable[Camera]) -> None:
        self._cameras = {camera.path: camera for camera in cameras}
        self._server = GstRtspServer.RTSPServer.new()
        self._server.set_address(settings.host)
        self._server.set_service(str(settings.port))
        self._server.set_auth(make_auth(settings.scheme, settings.users))
        # Clients in the main loop, not in a thread of their own: a fault then never races with a request.
        self._server.get_thread_pool().set_max_threads(0)
        self._viewers = Viewers(self._server, self._cameras)
        self._started = time.monotonic_ns()
        for camera in self._cameras.values():
            self._mount(camera, mount_for(camera.fault))

    def start(self) -> int:
        """Begins to listen; returns the port. Raises OSError when the address cannot be had."""
        if not self._server.attach(None):
            address = f"{self._server.get_address()}:{self._server.get_service()}"
            raise OSError(f"cannot listen for RTSP on {address}; is the port taken?")
        port: int = self._server.get_bound_port()
        return port

    def close(self) -> None:
        """Disconnects everyone and serves nothing any more."""
        for path in self._cameras:
            self._server.get_mount_points().remove_factory(path)
        self._viewers.disconnect(None)

    @property
    def paths(self) -> tuple[str, ...]:
        """The cameras' paths in a fixed order."""
        return tuple(self._cameras)

    def state(self) -> list[dict[str, object]]:
        """Every camera with its fault and the number of clients that play it."""
        return [
            {"path": path, "fault": camera.fault.value, "viewers": self._viewers.playing(path)}
            for path, camera in self._cameras.items()
        ]

    def set_fault(self, path: str, fault: Fault) -> None:
        """Breaks or heals one camera; its clients are disconnected where it is served differently from now on."""
        camera = self._cameras[path]
        before, after = mount_for(camera.fault), mount_for(fault)
        camera.fault = fault
        if fault is Fault.SILENCE:
            camera.silent.set()
        else:
            camera.silent.clear()
        if before != after:
            self._mount(camera, after)
            self._viewers.disconnect(path)

    def _mount(self, camera: Camera, mount: Mount) -> None:
        """Puts the camera up afresh, so that nobody shares the stream of those who are to be disconnected."""
        points = self._server.get_mount_points()
        if not mount.exists:
            points.remove_factory(camera.path)
            return
        clip = camera.clips[mount.small]
        audience = frozenset({Role.ROTATED}) if mount.rotated_credentials else camera.audience
        points.add_factory(camera.path, make_factory(lambda: self._film(camera, clip), clip, audience, camera.silent))

    def _film(self, camera: Camera, clip: Clip) -> Film:
        """Asked for its fault from the thread that feeds it; what it reads is replaced as a whole."""
        return Film(clip, self._position(camera, clip), camera.black, lambda: camera.fault)

    def _position(self, camera: Camera, clip: Clip) -> int:
        """Where the camera's endless film is now, at a keyframe: like a real one it goes on while nobody looks."""
        elapsed = (time.monotonic_ns() - self._started) // clip.frame_ns
        return clip.keyframe_before(elapsed + camera.offset)
