"""What FFmpeg is told, and what becomes of its errors."""

import av.error
import pytest

from tests.support.openrequests import open_request
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.failures import LogLine, open_failure, read_failure
from videofleet_worker.decode.messages import OpenRequest
from videofleet_worker.decode.network import with_credentials
from videofleet_worker.decode.options import open_options


def request(url: str, **changes: object) -> OpenRequest:
    return open_request(url, **{"ca_file": "/etc/ca.pem", **changes})


@pytest.mark.parametrize(
    ("url", "user", "password", "expected"),
    [
        ("rtsp://camera/1", None, None, "rtsp://camera/1"),
        ("rtsp://camera:554/1?a=b", "admin", "p@ss/w:d", "rtsp://admin:p%40ss%2Fw%3Ad@camera:554/1?a=b"),
        ("rtsp://camera/", "ümlaut", "", "rtsp://%C3%BCmlaut:@camera/"),
    ],
)
def test_credentials_go_to_their_camera(url: str, user: str | None, password: str | None, expected: str) -> None:
    asked = request(url, username=user, password=password)

    assert with_credentials(asked, url) == expected
    assert with_credentials(asked, "rtsp://elsewhere/1") == "rtsp://elsewhere/1"


@pytest.mark.parametrize("url", ["rtsp://c/1", "rtsps://c/1", "http://c/1", "https://c/1"])
def test_nothing_on_the_network_leads_to_a_file(url: str) -> None:
    options = open_options(request(url))

    elsewhere = {"file", "concat", "concatf", "subfile", "data", "crypto", "fd", "pipe", "unix", "gopher", "ftp"}
    assert not elsewhere & set(options["protocol_whitelist"].split(","))
    assert not {"tty", "concat", "image2", "lavfi", "sdp"} & set(options["format_whitelist"].split(","))


def test_a_local_playlist_is_not_read() -> None:
    options = open_options(request("file:///media/list.m3u8"))

    assert options["protocol_whitelist"] == "fd"
    assert "hls" not in options["format_whitelist"].split(",")


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("auto", {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}),
        ("tcp", {"rtsp_transport": "tcp"}),
        ("udp", {"rtsp_transport": "udp"}),
    ],
)
def test_transports(transport: str, expected: dict[str, str]) -> None:
    options = open_options(request("rtsp://c/1", transport=transport))

    assert {name: value for name, value in options.items() if name in ("rtsp_transport", "rtsp_flags")} == expected
    assert options["timeout"] == "10000000"


def fault(name: str, number: int = 5, text: str = "Input/output error") -> av.error.FFmpegError:
    """An error as FFmpeg raises it, with an address in it that must not be seen again."""
    raised: av.error.FFmpegError = getattr(av.error, name)(number, text, "rtsp://admin:hunter2@camera/1")
    return raised


@pytest.mark.parametrize(
    ("error", "logs", "code", "said"),
    [
        (fault("HTTPUnauthorizedError"), [], ErrorCode.AUTH, "401"),
        (fault("HTTPForbiddenError"), [], ErrorCode.AUTH, "403"),
        (fault("HTTPNotFoundError"), [], ErrorCode.NOT_FOUND, "404"),
        (
            fault("HTTPOtherClientError"),
            [(16, "rtsp", "method DESCRIBE failed: 454 Session Not Found\n")],
            ErrorCode.NOT_FOUND,
            "454 Session Not Found",
        ),
        (
            fault("HTTPOtherClientError"),
            [(16, "rtsp", "method SETUP failed: 453 Not Enough Bandwidth\n")],
            ErrorCode.NETWORK,
            "no room for another connection",
        ),
        (fault("HTTPServerError"), [(24, "http", "HTTP error 503 Busy\n")], ErrorCode.NETWORK, "503 Busy"),
        (fault("TimeoutError", 110, "Connection timed out"), [], ErrorCode.TIMEOUT, "does not answer"),
        (fault("ConnectionRefusedError", 111, "Connection refused"), [], ErrorCode.NETWORK, "connection refused"),
        (fault("OSError", 113, "No route to host"), [], ErrorCode.NETWORK, "no route to host"),
        (
            fault("OSError"),
            [(16, "tcp", "Failed to resolve hostname camera.site: Name or service not known\n")],
            ErrorCode.NETWORK,
            "'camera.site' cannot be resolved",
        ),
        (fault("OSError"), [(16, "tls", "certificate expired.\n")], ErrorCode.TLS, "certificate expired"),
        (
            fault("EOFError"),
            [(16, "tls", "IO error: End of file\n"), (16, "https", "Error reading HTTP response: End of file\n")],
            ErrorCode.NETWORK,
            "without an answer",
        ),
        (fault("DecoderNotFoundError"), [], ErrorCode.CODEC, "no decoder"),
        (fault("ProtocolNotFoundError"), [], ErrorCode.UNSUPPORTED, "does not know the protocol"),
        (
            fault("ArgumentError", 22, "Invalid argument"),
            [(16, "file", "Protocol 'file' not on whitelist 'http,tcp'!\n")],
            ErrorCode.FORBIDDEN,
            "'file'",
        ),
        (fault("ArgumentError", 22, "Invalid argument"), [], ErrorCode.UNSUPPORTED, "not a video"),
        (fault("InvalidDataError"), [], ErrorCode.UNSUPPORTED, "not a video"),
        (fault("EOFError"), [], ErrorCode.NETWORK, "closed the connection"),
    ],
)
def test_why_opening_failed(error: av.error.FFmpegError, logs: list[LogLine], code: ErrorCode, said: str) -> None:
    failure = open_failure(error, logs, "rtsp")

    assert failure.code is code
    assert said in failure.message
    assert "hunter2" not in failure.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fault("TimeoutError", 110, "Connection timed out"), ErrorCode.STALLED),
        (fault("ConnectionResetError", 104, "Connection reset by peer"), ErrorCode.NETWORK),
        (fault("HTTPNotFoundError"), ErrorCode.NOT_FOUND),
        (fault("InvalidDataError"), ErrorCode.CODEC),
    ],
)
def test_why_reading_failed(error: av.error.FFmpegError, code: ErrorCode) -> None:
    assert read_failure(error, "at frame 3 of 9").code is code
