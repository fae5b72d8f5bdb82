"""The server's side of mutual TLS, with files that may change."""

import logging
import ssl
from pathlib import Path
from typing import Final

_LOGGER: Final = logging.getLogger(__name__)


class TlsFilesError(Exception):
    """The key pair or the CA bundle cannot be used."""


class ReloadingTls:
    """A context that takes up new files at the next handshake.

    A mounted Secret changes as a whole while the worker runs. Files that do not fit together, as in the middle of a
    change, leave the last good ones in force.
    """

    def __init__(self, folder: Path) -> None:
        self._files = tuple(folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self._seen = self._fingerprint()
        self._current = self._load()
        self.context = self._load()
        """For the server; every handshake is passed on to the newest files."""
        # Called at each handshake, also when the client names no server.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self._reload()
        connection.context = self._current

    def _reload(self) -> None:
        try:
            found = self._fingerprint()
            if found == self._seen:
                return
            self._current = self._load()
            self._seen = found
            _LOGGER.info("new TLS files are in use")
        except TlsFilesError as error:
            _LOGGER.warning("keeping the old TLS files: %s", error)

    def _fingerprint(self) -> tuple[tuple[int, int], ...]:
        try:
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in self._files))
        except OSError as error:
            raise TlsFilesError(f"cannot read {error.filename}: {error.strerror}") from error

    def _load(self) -> ssl.SSLContext:
        certificate, key, bundle = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(bundle)
        except (ssl.SSLError, OSError) as error:
            folder = certificate.parent
            raise TlsFilesError(f"tls.crt, tls.key and ca.crt in {folder} cannot be used: {error}") from error
        return context
