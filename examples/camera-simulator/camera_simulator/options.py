"""The command line of the simulator."""

from __future__ import annotations

import argparse
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from .access import AuthScheme, Credentials
from .answering import TlsFiles

_MEDIA = Path(__file__).resolve().parents[2] / "media"


@dataclass(frozen=True)
class Options:
    """The checked command line; a port of 0 takes a free one, an https_port of None means no HTTPS."""

    host: str
    cameras: int
    clip: Path
    small_clip: Path
    black_clip: Path
    rtsp_port: int
    http_port: int
    https_port: int | None
    control_port: int
    tls: TlsFiles | None
    scheme: AuthScheme
    secure: Credentials
    rotated: Credentials
    port_file: Path | None
    check: bool


def parse_options(arguments: list[str]) -> Options:
    """Reads the command line; prints what is wrong and exits with 2 if it makes no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.cameras < 1:
        parser.error(f"--cameras: {given.cameras} is too few; give at least 1")
    if (given.tls_cert is None) != (given.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together; give both or none")
    if (given.https_port is None) != (given.tls_cert is None):
        parser.error("--https-port needs --tls-cert and --tls-key, and they need it")
    return Options(
        host=given.host,
        cameras=given.cameras,
        clip=given.clip,
        small_clip=given.small_clip,
        black_clip=given.black_clip,
        rtsp_port=given.rtsp_port,
        http_port=given.http_port,
        https_port=given.https_port,
        control_port=given.control_port,
        tls=None if given.tls_cert is None else TlsFiles(given.tls_cert, given.tls_key),
        scheme=AuthScheme(given.auth),
        secure=Credentials(given.secure_user, given.secure_password),
        rotated=Credentials(given.rotated_user, given.rotated_password),
        port_file=given.port_file,
        check=given.check,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Plays a clip endlessly as several RTSP cameras, and breaks on demand."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--cameras", type=int, default=8, metavar="N", help="serve /cam1 to /camN")
    parser.add_argument("--clip", type=Path, default=_MEDIA / "vtest.mp4", help="H.264 in MP4, no B-frames")
    parser.add_argument("--small-clip", type=Path, default=_MEDIA / "vtest-384x288.mp4", help="for fault resolution")
    parser.add_argument("--black-clip", type=Path, default=_MEDIA / "black.mp4", help="for fault black, as large")
    for name, port in (("rtsp", 8554), ("http", 8080), ("control", 8090)):
        parser.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help="0 takes a free one")
    parser.add_argument("--https-port", type=_port, metavar="PORT", help="serve the files by HTTPS as well")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM")
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    parser.add_argument("--auth", choices=list(AuthScheme), default=AuthScheme.DIGEST, help="how /secure asks")
    parser.add_argument("--secure-user", default="camera")
    parser.add_argument(
        "--secure-password",
        default=os.environ.get("CAMERA_PASSWORD", "s3cret"),
        help="of /secure; default from CAMERA_PASSWORD, else s3cret",
    )
    parser.add_argument("--rotated-user", default="rotated")
    parser.add_argument(
        "--rotated-password",
        default=os.environ.get("ROTATED_PASSWORD", secrets.token_urlsafe()),
        help="what a camera wants under fault wrong-password; default from ROTATED_PASSWORD, else random",
    )
    parser.add_argument("--port-file", type=Path, help="write the ports there as JSON once everything listens")
    parser.add_argument("--check", action="store_true", help="read the clips, look for every plugin, and end")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)
