"""FFmpeg's errors turned into codes and sentences that a person understands."""

import errno
import re
from collections.abc import Sequence

import av.error

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.kinds import ALL_KINDS, kind_of, told
from videofleet_worker.sources.errors import SourceError, out_of_memory

# (level, component, text), as PyAV captures it.
LogLine = tuple[int, str, str]

_UNREACHABLE = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EHOSTDOWN,
        errno.EPIPE,
        errno.EIO,
        errno.ENOTCONN,
    }
)
_RESOLVE = re.compile(r"Failed to resolve hostname (\S+?):")
_STATUS = re.compile(r"(?:failed:|HTTP error) (\d{3})\b *(.*)")
# What the TLS layer says when only the connection under it broke.
_TLS_CARRIER = ("IO error", "Error in the pull function", "Error in the push function")
_REDIRECTED = re.compile(r"Redirecting to (\S+)")
_NOT_ALLOWED = re.compile(r"Protocol '(\w+)' not on whitelist")


def open_failure(error: av.error.FFmpegError, logs: Sequence[LogLine], scheme: str, head: bytes = b"") -> SourceError:
    """Why opening failed, from FFmpeg's error and what it logged meanwhile; `head`: how the content begins."""
    return (
        _no_memory(error)
        or _refused_by_server(error, logs)
        or _refused_here(error, logs)
        or (None if scheme == "file" else _connection(error, logs))
        or _content(error, logs, scheme, head)
    )


def redirect_in(logs: Sequence[LogLine]) -> list[str]:
    """Where a camera sent FFmpeg, at most one address."""
    return [found[1] for _, _, text in logs if (found := _REDIRECTED.search(text))][-1:]


def read_failure(error: av.error.FFmpegError, position: str) -> SourceError:
    """Why reading failed in the middle; `position` says where, for example 'at frame 312 of 795'."""
    if (failure := _no_memory(error)) is not None:
        return failure
    if isinstance(error, av.error.TimeoutError):
        return SourceError(ErrorCode.STALLED, f"no data came any more {position}")
    if isinstance(error, av.error.HTTPClientError | av.error.HTTPServerError):
        return open_failure(error, [], "http")
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return SourceError(ErrorCode.NETWORK, f"the connection broke {position}: {_reason(error)}")
    return SourceError(ErrorCode.CODEC, f"the stream is damaged {position}: {_reason(error)}")


def _no_memory(error: av.error.FFmpegError) -> SourceError | None:
    return out_of_memory() if isinstance(error, MemoryError) else None


def _refused_by_server(error: av.error.FFmpegError, logs: Sequence[LogLine]) -> SourceError | None:
    status = _status(logs)
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            text = "401 Unauthorized" if isinstance(error, av.error.HTTPUnauthorizedError) else "403 Forbidden"
            return SourceError(ErrorCode.AUTH, f"the server refuses the credentials ({text})")
        case av.error.HTTPNotFoundError():
            return SourceError(ErrorCode.NOT_FOUND, "the server has nothing at this path (404 Not Found)")
        case av.error.HTTPClientError() | av.error.HTTPServerError():
            return _by_status(status)
        case av.error.FileNotFoundError():
            return SourceError(ErrorCode.NOT_FOUND, "no such file")
        case av.error.PermissionError() | av.error.IsADirectoryError():
            return SourceError(ErrorCode.FORBIDDEN, f"the file cannot be read: {_reason(error)}")
    return None


def _by_status(status: tuple[int, str]) -> SourceError:
    number, text = status
    said = f"{number} {text}".strip() if number else "an HTTP error"
    match number:
        case 410 | 454:
            return SourceError(ErrorCode.NOT_FOUND, f"the server has nothing at this path ({said})")
        case 453:
            return SourceError(ErrorCode.NETWORK, f"the camera has no room for another connection ({said})")
        case 461:
            return SourceError(ErrorCode.UNSUPPORTED, f"the camera refuses this transport ({said})")
    return SourceError(ErrorCode.NETWORK, f"the server answered {said}")


def _refused_here(error: av.error.FFmpegError, logs: Sequence[LogLine]) -> SourceError | None:
    for _, _, text in logs:
        if found := _NOT_ALLOWED.search(text):
            return SourceError(ErrorCode.FORBIDDEN, f"the source leads to the protocol {found[1]!r}, not allowed here")
    if isinstance(error, av.error.ProtocolNotFoundError):
        return SourceError(ErrorCode.UNSUPPORTED, "this build of FFmpeg does not know the protocol")
    if isinstance(error, av.error.DecoderNotFoundError):
        return SourceError(ErrorCode.CODEC, "there is no decoder for the video")
    if error.errno == errno.EPROTONOSUPPORT:
        return SourceError(ErrorCode.UNSUPPORTED, "the camera refuses the transport; try another source.transport")
    return None


def _connection(error: av.error.FFmpegError, logs: Sequence[LogLine]) -> SourceError | None:
    for _, component, text in logs:
        if found := _RESOLVE.search(text):
            return SourceError(ErrorCode.NETWORK, f"the name {found[1]!r} cannot be resolved")
        if component == "tls" and not text.startswith(_TLS_CARRIER):
            return SourceError(ErrorCode.TLS, f"no secure connection: {text.strip().rstrip('.')}")
    if isinstance(error, av.error.TimeoutError):
        return SourceError(ErrorCode.TIMEOUT, "the server does not answer")
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return SourceError(ErrorCode.NETWORK, f"no connection: {_reason(error)}")
    if isinstance(error, av.error.EOFError) and any("Error reading HTTP response" in text for _, _, text in logs):
        return SourceError(ErrorCode.NETWORK, "the server closed the connection without an answer")
    if any("Failed reading RTSP data" in text for _, _, text in logs):
        return SourceError(ErrorCode.NETWORK, "the server closed the connection without an RTSP answer")
    return None


def _content(error: av.error.FFmpegError, logs: Sequence[LogLine], scheme: str, head: bytes) -> SourceError:
    if isinstance(error, av.error.EOFError):
        if scheme in ("rtsp", "rtsps"):
            return SourceError(ErrorCode.NETWORK, "the server closed the connection")
        return SourceError(ErrorCode.EMPTY, "the source is empty")
    if (picture := kind_of(head)) is not None:
        reason = f"a {picture} picture and not a video: the addresses of single pictures go into source.images"
        return SourceError(ErrorCode.UNSUPPORTED, f"{reason} ({told(ALL_KINDS)}, over HTTP or HTTPS)")
    if any("moov atom not found" in text for _, _, text in logs):
        reason = "not a video: no known container, or an MP4 whose index (moov) is missing or cut off"
        return SourceError(ErrorCode.UNSUPPORTED, reason)
    if isinstance(error, av.error.ArgumentError | av.error.InvalidDataError):
        return SourceError(ErrorCode.UNSUPPORTED, "not a video: the content is no known video container")
    return SourceError(ErrorCode.UNSUPPORTED, f"the source cannot be opened: {_reason(error)}")


def _status(logs: Sequence[LogLine]) -> tuple[int, str]:
    for _, _, text in reversed(logs):
        if found := _STATUS.search(text):
            return int(found[1]), found[2].strip()
    return 0, ""


def _reason(error: av.error.FFmpegError) -> str:
    """The system's words only: str(error) would hold the address with the credentials."""
    return (error.strerror or type(error).__name__).lower()
