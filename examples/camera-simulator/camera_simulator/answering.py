"""An HTTP server that answers in threads of its own."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of an HTTPS server."""

    certificate: Path
    key: Path


class Answering:
    """From `start` to `close`; by `handler`, over HTTP, or HTTPS with `tls`."""

    def __init__(
        self, name: str, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], tls: TlsFiles | None = None
    ) -> None:
        self._server = ThreadingHTTPServer(address, handler)
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            # The handshake belongs to the connection's own thread: one silent client must not hold up the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, name=name, daemon=True)

    def start(self) -> int:
        """Begins to answer; returns the port."""
        self._thread.start()
        port: int = self._server.server_address[1]
        return port

    def close(self) -> None:
        """Answers no further request."""
        self._server.shutdown()
        self._server.server_close()
