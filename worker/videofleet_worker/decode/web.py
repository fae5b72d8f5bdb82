"""A client for HTTP and HTTPS whose connections come from the parent, which checks every one of them."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.credentials import Login
from videofleet_worker.decode.dialling import Dialler
from videofleet_worker.sources.errors import SourceError

_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_HOPS: Final = 8
_USER_AGENT: Final = "videofleet"
_TLS_WORDS: Final = "no secure connection: {}"

_THROTTLED: Final = frozenset({429, 503})

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class ThrottledError(SourceError):
    """The server asks to be asked again later."""


@dataclass(frozen=True)
class Tls:
    """How servers are checked. `authorities`: certificates in PEM; without any no server is known."""

    verify: bool
    authorities: str

    @classmethod
    def of(cls, verify: bool, ca_file: str | None) -> "Tls":
        """Reads the file: a decoder can do so only at its start. Raises SourceError."""
        try:
            return cls(verify, Path(ca_file).read_text(encoding="utf-8", errors="replace") if ca_file else "")
        except OSError as error:
            said = f"the authorities of servers cannot be read: {(error.strerror or '').lower()}"
            raise SourceError(ErrorCode.TLS, said) from None

    def wrap(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        """The connection made secure. Raises SourceError with TLS, or with TIMEOUT or NETWORK where it broke."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            if self.verify and self.authorities:
                context.load_verify_locations(cadata=self.authorities)
            return context.wrap_socket(sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise SourceError(ErrorCode.TLS, _TLS_WORDS.format(error.verify_message)) from None
        except ssl.SSLError as error:
            raise SourceError(ErrorCode.TLS, _TLS_WORDS.format((error.reason or "failed").lower())) from None
        except TimeoutError:
            raise SourceError(ErrorCode.TIMEOUT, "the server does not answer") from None
        except OSError:
            raise SourceError(ErrorCode.NETWORK, "the server closed the connection without an answer") from None


@dataclass
class Reply:
    """An answer that is being read. `url`: where it came from, after redirects."""

    url: str
    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection = field(repr=False)


class WebClient:
    """For one source. Keeps one connection open to each server, as playlists need. For one thread."""

    def __init__(
        self, dialler: Dialler, url: str, login: Login | None, tls: Tls, timeout: float, *, asked_as: str | None = None
    ) -> None:
        """`asked_as`: the scheme that the pool's policy is asked about; without it that of each connection."""
        self._asked_as = asked_as
        self._dialler = dialler
        # Nobody but the server that they are for gets the credentials.
        self._home = origin(url)
        self._login = login
        self._tls = tls
        self._timeout = timeout
        self._idle: dict[Origin, http.client.HTTPConnection] = {}

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """The answer with a status below 300, redirects followed. Raises SourceError."""
        for _ in range(_MOST_HOPS):
            reply = self._request(url, headers)
            status = reply.response.status
            if status < 300:
                return reply
            location = reply.response.headers.get("Location")
            again = status == 401 and self._may_answer(reply)
            self._drop(reply)
            if status in _REDIRECTS and location:
                url = _followed(url, location)
            elif not again:
                raise refused(status, reply.response.reason)
        raise SourceError(ErrorCode.NETWORK, "the server redirects again and again")

    def release(self, reply: Reply) -> None:
        """The answer is done with; its connection is kept where it was read to its end."""
        if reply.response.isclosed() and not reply.response.will_close:
            self._idle[origin(reply.url)] = reply.connection
        else:
            self._drop(reply)

    def _drop(self, reply: Reply) -> None:
        reply.response.close()
        reply.connection.close()

    def _may_answer(self, reply: Reply) -> bool:
        if self._login is None or origin(reply.url) != self._home:
            return False
        return self._login.challenged(reply.response.headers.get_all("WWW-Authenticate") or [])

    def _request(self, url: str, headers: Mapping[str, str]) -> Reply:
        server = origin(url)
        kept = self._idle.pop(server, None)
        if kept is not None:
            # The server may have closed it meanwhile.
            with contextlib.suppress(SourceError):
                return self._exchange(kept, url, headers)
        return self._exchange(self._connected(server), url, headers)

    def _exchange(self, connection: http.client.HTTPConnection, url: str, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
        if self._login is not None and origin(url) == self._home and (header := self._login.header("GET", target)):
            sent["Authorization"] = header
        try:
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in {**sent, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            return Reply(url, connection.getresponse(), connection)
        except TimeoutError:
            failure = SourceError(ErrorCode.TIMEOUT, "the server does not answer")
        except (http.client.HTTPException, OSError):
            failure = SourceError(ErrorCode.NETWORK, "the server closed the connection without an answer")
        except ValueError:
            failure = SourceError(ErrorCode.UNSUPPORTED, "the address has characters that no address has")
        connection.close()
        raise failure

    def _connected(self, server: Origin) -> http.client.HTTPConnection:
        scheme, host, port = server
        sock, _ = self._dialler.connect(self._asked_as or scheme, host, port)
        sock.settimeout(self._timeout)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection.sock = self._tls.wrap(sock, host) if scheme == "https" else sock
        # Else it would connect by itself, where it could.
        connection.auto_open = 0
        return connection


def origin(url: str) -> Origin:
    """The server that an address is of. Raises SourceError where it is none of the web."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        raise SourceError(ErrorCode.UNSUPPORTED, "the source leads to an address that cannot be read") from None
    if scheme not in _PORTS:
        raise SourceError(ErrorCode.FORBIDDEN, f"the source leads to the protocol {scheme!r}, not allowed here")
    if not host:
        raise SourceError(ErrorCode.UNSUPPORTED, "the source leads to an address without a host")
    return scheme, host, port or _PORTS[scheme]


def refused(status: int, reason: str) -> SourceError:
    """What a status of 400 and above means."""
    said = f"{status} {reason}".strip()
    match status:
        case 401 | 403:
            return SourceError(ErrorCode.AUTH, f"the server refuses the credentials ({said})")
        case 404 | 410:
            return SourceError(ErrorCode.NOT_FOUND, f"the server has nothing at this path ({said})")
        case 416:
            return SourceError(ErrorCode.EMPTY, "the source is empty")
    kind = ThrottledError if status in _THROTTLED else SourceError
    return kind(ErrorCode.NETWORK, f"the server answered {said}")


def _followed(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise SourceError(ErrorCode.UNSUPPORTED, "the server redirects to an address that cannot be read") from None
