"""Footage of single pictures, each at an address of its own or handed over by the parent: one a frame, a second
apart."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import av
import av.error
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.choice import Choice
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.footage import OnPacket, Tally
from videofleet_worker.decode.kinds import PictureKind, seen_as, told
from videofleet_worker.decode.looks import Looks
from videofleet_worker.decode.messages import Opened, OpenRequest, Strategy
from videofleet_worker.decode.network import Network
from videofleet_worker.decode.options import scheme_of
from videofleet_worker.decode.ring import MAX_SIDE
from videofleet_worker.decode.upright import Upright
from videofleet_worker.decode.web import WebClient
from videofleet_worker.decode.webfile import WebFile
from videofleet_worker.sources.errors import SourceError

HANDED: Final = "memory"
"""Scheme of a picture that the parent has; there is just one."""
_CHUNK: Final = 2**20


Fetch = Callable[[str], bytes]
"""The bytes at an address. Raises SourceError."""


def fetching(request: OpenRequest, network: Network) -> Fetch:
    """How the pictures of a request are had."""
    if scheme_of(request.url) == HANDED:
        return lambda _address: _handed(network.dialler.file(), request.picture_bytes)
    return partial(_fetched, network.client(request), request.picture_bytes)


class ImageFootage:
    """Pictures of any sizes. See Footage."""

    strategy: Strategy = "needed"

    def __init__(self, fetch: Fetch, request: OpenRequest) -> None:
        total = len(request.images)
        self.info = Opened(live=False, fps=1.0, width=0, height=0, codec="image", total_frames=total)
        self.tally = Tally()
        self.stream: VideoStream | None = None
        self.choice = Choice(request, self.info)
        self.looks: Looks | None = None
        self._fetch = fetch
        self._addresses = request.images
        self._kinds = request.picture_kinds
        self._upright = Upright(request.rotation)

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        """See Footage."""
        for index, address in enumerate(self._addresses):
            yield None
            arrival = time.monotonic()
            judged = self.choice.judge(index, float(index), arrival, keyframe=True)
            if self.choice.over:
                return
            self.tally.received += 1
            if not judged.wanted:
                self.tally.passed += 1
                continue
            try:
                picture = _decoded(self._fetch(address), self._kinds)
            except SourceError as error:
                where = f"image {index + 1} of {len(self._addresses)}: " if len(self._addresses) > 1 else ""
                raise SourceError(error.code, f"{where}{error.message}") from None
            self.tally.decoded += 1
            yield from self._upright.turn(Decoded(picture, index, float(index), True, arrival, judged))

    def taken_at(self, decoded: Decoded) -> float:
        """See Footage."""
        return time.monotonic()

    def captured_at(self, decoded: Decoded) -> float | None:
        """See Footage."""
        return None

    def close(self) -> None:
        """Nothing to leave."""


def _fetched(client: WebClient, most: int, address: str) -> bytes:
    file = WebFile(client, address)
    content = _whole(file.read, most)
    file.close()
    return content


def _handed(descriptor: int, most: int) -> bytes:
    with open(descriptor, "rb", buffering=0) as file:
        return _whole(lambda size: file.read(size) or b"", most)


def _whole(read: Callable[[int], bytes], most: int) -> bytes:
    pieces, size = [], 0
    while piece := read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise SourceError(ErrorCode.UNSUPPORTED, f"it is larger than {most} bytes: at most so many are read")
    if not size:
        raise SourceError(ErrorCode.EMPTY, "it is empty")
    return b"".join(pieces)


def _decoded(content: bytes, kinds: Sequence[PictureKind]) -> VideoFrame:
    options = {
        "protocol_whitelist": "",
        "format_whitelist": ",".join(f"{kind.lower()}_pipe" for kind in kinds),
        "max_pixels": str(MAX_SIDE * MAX_SIDE),
    }
    try:
        with av.open(io.BytesIO(content), "r", options=options) as container:
            if container.streams.video:
                container.streams.video[0].codec_context.thread_count = 1
                for frame in container.decode(video=0):
                    return frame
    except av.error.FFmpegError:
        pass
    raise SourceError(
        ErrorCode.UNSUPPORTED, f"it is {seen_as(content)}: {told(kinds)} of up to {MAX_SIDE}x{MAX_SIDE} can be read"
    )
