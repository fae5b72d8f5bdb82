"""Looking whether a part is ready. A probe never raises: it answers."""

import http.client
import socket
import ssl

from localcluster.parts import Probe

TIMEOUT_S = 1.5


def is_ready(probe: Probe) -> bool:
    """Whether the part answers as it does when it is ready."""
    if probe.kind == "process":
        return True
    try:
        if probe.kind == "unix":
            return _unix_accepts(probe.target)
        if probe.kind == "tcp":
            return _tcp_accepts(probe.target)
        return _http_is_ok(probe.target, tls=probe.kind == "https")
    except (OSError, http.client.HTTPException):
        return False


def _unix_accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT_S)
        client.connect(path)
    return True


def _tcp_accepts(target: str) -> bool:
    host, port = target.rsplit(":", 1)
    socket.create_connection((host, int(port)), TIMEOUT_S).close()
    return True


def _http_is_ok(target: str, *, tls: bool) -> bool:
    address, path = target.split("/", 1)
    connection = _connection(address, tls=tls)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _connection(address: str, *, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    # A health check of our own process on an address of this machine: who answers is known by its pid.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(address, timeout=TIMEOUT_S, context=context)
