"""Opening a source inside the child: container, video stream, decoder, and what is known of them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import av
import av.container
import av.error
import av.logging
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from videofleet_api.codes import ErrorCode
from videofleet_api.source import LIVE_SCHEMES
from videofleet_worker.decode.camera import Camera
from videofleet_worker.decode.datagrams import LARGEST, DatagramStream
from videofleet_worker.decode.failures import LogLine, open_failure, redirect_in
from videofleet_worker.decode.kinds import LONGEST_BEGINNING
from videofleet_worker.decode.messages import Opened, OpenRequest
from videofleet_worker.decode.network import STREAMED, Network, with_credentials
from videofleet_worker.decode.options import open_options, scheme_of
from videofleet_worker.decode.ring import MAX_SIDE
from videofleet_worker.decode.webinput import WebInput
from videofleet_worker.sources.errors import SourceError

_HIGHEST_FPS = 240.0
_MOST_HOPS = 4
_USUAL_BUFFER = 32_768


@dataclass(frozen=True)
class OpenSource:
    """An open source. `pulled`: it comes as fast as it is read, so a live one has to be paced.

    `reader`: what FFmpeg reads it by, where that knows more than FFmpeg of what goes wrong. `endless`: its job says so.
    """

    container: av.container.InputContainer
    stream: VideoStream
    info: Opened
    pulled: bool
    reader: WebInput | DatagramStream | None = None
    endless: bool = False

    @property
    def seekable(self) -> bool:
        """Whether any place can be read."""
        return self.reader.seekable if isinstance(self.reader, WebInput) else self.reader is None

    @property
    def is_over(self) -> bool:
        """Whether a broadcast has said that nothing follows."""
        return not self.endless and isinstance(self.reader, WebInput) and self.reader.closed


def open_source(request: OpenRequest, network: Network) -> OpenSource:
    """Open what the request names. Raises SourceError."""
    container, reader = _open_container(request, network)
    try:
        stream = _video_stream(container)
        _set_up_decoder(stream)
        described = _describe(request, container, stream)
        return OpenSource(
            container, stream, described, _is_pulled(request, container), reader, endless=request.kind == "live"
        )
    except SourceError:
        container.close()
        raise


def _open_container(
    request: OpenRequest, network: Network
) -> tuple[av.container.InputContainer, WebInput | DatagramStream | None]:
    scheme = scheme_of(request.url)
    if scheme in STREAMED:
        return _open_camera(request, network.camera(request)), None
    if scheme == "file":
        return _open_file(request, network.dialler.file()), None
    if scheme == "udp":
        datagrams = network.datagrams(request)
        return _open(datagrams, request, lambda error, logs: datagrams.last), datagrams
    return _open_web(request, network)


def _open_web(request: OpenRequest, network: Network) -> tuple[av.container.InputContainer, WebInput]:
    """FFmpeg knows playlists by how their addresses end; others are opened anew, as what they are."""
    web = network.web(request)
    try:
        return _open(request.url, request, lambda error, logs: web.why, io_open=web.open, head=lambda: web.head), web
    except SourceError as error:
        if error.code is not ErrorCode.UNSUPPORTED or not web.is_playlist_alone:
            raise
    again = network.web(request)
    return _open(request.url, request, lambda error, logs: again.why, io_open=again.open, kind="hls"), again


def _open_file(request: OpenRequest, descriptor: int) -> av.container.InputContainer:
    head = b""
    # Whoever cannot read it is told so by FFmpeg.
    with contextlib.suppress(OSError):
        head = os.pread(descriptor, LONGEST_BEGINNING, 0)
    return _open("fd:", request, lambda error, logs: None, more={"fd": str(descriptor)}, head=lambda: head)


def _open_camera(request: OpenRequest, camera: Camera) -> av.container.InputContainer:
    """Redirects are followed here, so that each address is checked before anything is sent to it."""
    url = request.url
    for _ in range(_MOST_HOPS):
        led_to: list[str] = []

        def why(error: av.error.FFmpegError, logs: Sequence[LogLine], found: list[str] = led_to) -> SourceError | None:
            found.extend(redirect_in(logs))
            return camera.failure

        try:
            return _open(camera.connect(with_credentials(request, url)), request, why)
        except SourceError:
            if not led_to:
                raise
        url = led_to[0]
        if scheme_of(url) not in STREAMED:
            raise SourceError(ErrorCode.FORBIDDEN, "the camera redirects to another protocol, not allowed here")
    raise SourceError(ErrorCode.NETWORK, "the camera redirects again and again")


def _open(
    target: str | DatagramStream,
    request: OpenRequest,
    why: Callable[[av.error.FFmpegError, Sequence[LogLine]], SourceError | None],
    io_open: Callable[..., object] | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
    kind: str | None = None,
    head: Callable[[], bytes] = bytes,
) -> av.container.InputContainer:
    """`why` may know better than FFmpeg what went wrong. `kind`: of container; without it FFmpeg finds out. `head`: how
    that begins which was opened, as far as anybody has seen it."""
    logs: list[LogLine] = []
    try:
        with _captured(logs):
            options = {**open_options(request), **more}
            return av.open(
                target,
                "r",
                kind,
                options=options,
                io_open=io_open,
                buffer_size=_buffer_size(request),
                # Nobody reads it, and damage can be anywhere.
                metadata_errors="replace",
            )
    except av.error.FFmpegError as error:
        failure = why(error, logs) or open_failure(error, logs, scheme_of(request.url), head())
    except SourceError as error:
        failure = SourceError(error.code, error.message)
    # Outside the handler, so that the original with the address in it is not chained to what is raised.
    raise failure


def _buffer_size(request: OpenRequest) -> int:
    """Bytes that FFmpeg reads at a time."""
    return LARGEST if scheme_of(request.url) == "udp" else _USUAL_BUFFER


@contextlib.contextmanager
def _captured(logs: list[LogLine]) -> Iterator[None]:
    """FFmpeg's log lines while opening, with what it says of redirects.

    Afterwards it is silent: its callback would need the GIL for every line.
    """
    av.logging.set_level(av.logging.INFO)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False) as lines:
            try:
                yield
            finally:
                logs.extend(lines)
    finally:
        av.logging.set_level(None)


def _video_stream(container: av.container.InputContainer) -> VideoStream:
    candidates = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not container.streams:
        raise SourceError(ErrorCode.EMPTY, "there is nothing in the source, as in a playlist that names nothing yet")
    if not candidates:
        kinds = ", ".join(sorted({s.type for s in container.streams}))
        raise SourceError(ErrorCode.UNSUPPORTED, f"no video in the source, only {kinds}")
    stream = max(candidates, key=lambda s: (s.codec_context is not None, _pixels(s), -s.index))
    if stream.codec_context is None:
        raise SourceError(ErrorCode.CODEC, "there is no decoder for the video")
    for other in container.streams:
        if other is not stream:
            # Else all variants of an HLS playlist are downloaded.
            other.discard = Discard.all
    return stream


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height if stream.codec_context is not None else 0


def _set_up_decoder(stream: VideoStream) -> None:
    context = stream.codec_context
    if context.width > MAX_SIDE or context.height > MAX_SIDE:
        size = f"{context.width}x{context.height}"
        raise SourceError(ErrorCode.UNSUPPORTED, f"pictures of {size} are larger than {MAX_SIDE}x{MAX_SIDE}")
    # Streams run side by side; threads inside one would cost 40 MB each for no gain in sum.
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}


def _describe(request: OpenRequest, container: av.container.InputContainer, stream: VideoStream) -> Opened:
    live = _is_live(request, container)
    return Opened(
        live=live,
        fps=_frame_rate(stream),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        codec=stream.codec_context.name[:64],
        total_frames=None if live else _total_frames(container, stream),
        duration=None if live or not container.duration else container.duration / av.time_base,
        audio=_audio(container),
    )


def _audio(container: av.container.InputContainer) -> str | None:
    codecs = [stream.codec_context.name[:64] for stream in container.streams.audio if stream.codec_context is not None]
    return codecs[0] if codecs else None


def _is_live(request: OpenRequest, container: av.container.InputContainer) -> bool:
    if request.kind != "auto":
        return request.kind == "live"
    if scheme_of(request.url) in LIVE_SCHEMES:
        return True
    # FFmpeg gives a playlist a duration only when it has an ENDLIST. JPEGs that replace each other are a camera's.
    return container.format.name == "mpjpeg" or (container.format.name == "hls" and container.duration is None)


def _is_pulled(request: OpenRequest, container: av.container.InputContainer) -> bool:
    return container.format.name == "hls" or (
        scheme_of(request.url) not in LIVE_SCHEMES and container.duration is not None
    )


def _frame_rate(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= _HIGHEST_FPS:
            return float(rate)
    return 0.0


def _total_frames(container: av.container.InputContainer, stream: VideoStream) -> int | None:
    if stream.frames > 0:
        return stream.frames
    rate = _frame_rate(stream)
    if not container.duration or not rate:
        return None
    return max(1, round(container.duration / av.time_base * rate))
