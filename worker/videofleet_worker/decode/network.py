"""What a decoding child has of the network, by what its source needs."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from videofleet_worker.decode.camera import Camera
from videofleet_worker.decode.credentials import Login
from videofleet_worker.decode.datagrams import DatagramStream
from videofleet_worker.decode.dialling import Dialler
from videofleet_worker.decode.messages import OpenRequest
from videofleet_worker.decode.substitution import Substitution
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.decode.web import Tls, WebClient
from videofleet_worker.decode.webinput import WebInput

STREAMED = ("rtsp", "rtsps", "rtmp", "rtmps")
"""Schemes that FFmpeg speaks itself, over sockets that it is given."""


@dataclass(frozen=True)
class Network:
    """The way to the parent, who dials; and (for what FFmpeg speaks) where the kernel tells of sockets."""

    dialler: Dialler
    listener: int | None
    tls: Tls
    threads: SpareThreads

    def web(self, request: OpenRequest) -> WebInput:
        """For HTTP and HTTPS."""
        return WebInput(self.client(request))

    def client(self, request: OpenRequest) -> WebClient:
        """For single files of the web."""
        login = None
        if request.username is not None or request.password is not None:
            login = Login(request.username or "", request.password or "")
        return WebClient(self.dialler, request.url, login, self.tls, request.io_timeout, asked_as=request.asked_as)

    def datagrams(self, request: OpenRequest) -> DatagramStream:
        """For UDP. Raises SourceError."""
        parts = urlsplit(request.url)
        return DatagramStream(self.dialler.receiver(parts.hostname or "", parts.port or 0), request.io_timeout)

    def camera(self, request: OpenRequest) -> Camera:
        """For RTSP and RTMP; FFmpeg's sockets come from it from now on."""
        assert self.listener is not None, "the filter tells of sockets for these schemes"
        camera = Camera(self.dialler, self.tls, self.threads, request.io_timeout)
        self.threads.start(Substitution(self.listener, camera.give).serve)
        return camera


def with_credentials(request: OpenRequest, url: str) -> str:
    """The address for FFmpeg, with the credentials where it is on the server that they are for.

    Never log it, never put it into an error.
    """
    at_home = urlsplit(url).netloc == urlsplit(request.url).netloc
    if not at_home or (request.username is None and request.password is None):
        return url
    user = quote(request.username or "", safe="")
    password = quote(request.password or "", safe="")
    before, _, after = url.partition("://")
    return f"{before}://{user}:{password}@{after}"
