"""Where the API server is and how to prove who we are."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .kubeconfig import CredentialsError, Found, read_plain

IN_CLUSTER_REFRESH_S = 60.0
"""A pod's token is rotated on disk well before it expires; reading it once a minute is always in time."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """The API server's address and one reading of the credentials for it.

    `tls` holds what the TLS context is built from; it changes only when a file's content does.
    """

    host: str
    authorization: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    server_hostname: str | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of the CA and the client certificate, with a digest of their contents to notice rotation."""

    ca: str | None
    cert: str | None
    key: str | None
    verify: bool
    digest: str

    @classmethod
    def read(cls, ca: str | None, cert: str | None, key: str | None, verify: bool = True) -> TlsFiles:
        """Digest the files' present contents; raises CredentialsError for one that cannot be read."""
        digest = hashlib.sha256()
        for path in (ca, cert, key):
            try:
                digest.update(Path(path).read_bytes() if path else b"")
            except OSError as error:
                raise CredentialsError(f"cannot read the TLS file {path}: {error.strerror}") from error
            digest.update(b"\0")
        return cls(ca, cert, key, verify, digest.hexdigest())

    def context(self) -> ssl.SSLContext:
        """A client-side TLS context of these files."""
        context = ssl.create_default_context(cafile=self.ca)
        # Cluster CAs often lack the extensions that strict checking wants; client-go does not ask for them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Credentials:
    """A way to read the credentials, again and again.

    `refresh_after`: seconds after which to read them anew; None: only when the server says 401.
    """

    load: Callable[[], Awaitable[ServerAccess]]
    refresh_after: float | None = None


def fixed(access: ServerAccess) -> Credentials:
    """Credentials that never change."""

    async def load() -> ServerAccess:
        return access

    return Credentials(load)


def from_kubeconfig(path: str, context: str | None = None) -> Credentials:
    """Credentials of a kubeconfig file (or several, joined as in $KUBECONFIG)."""

    async def load() -> ServerAccess:
        plain = read_plain(path, context)
        if plain is None:
            # Imported only here: it takes half a second, half of an operator's start.
            from .clientconfig import load_kubeconfig

            plain = await load_kubeconfig(path, context)
        return _access(plain)

    return Credentials(load)


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """Credentials of the pod's service account."""

    async def load() -> ServerAccess:
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise CredentialsError("in-cluster credentials: KUBERNETES_SERVICE_HOST and _PORT must be set")
        try:
            token = (folder / "token").read_text().strip()
        except OSError as error:
            raise CredentialsError(f"in-cluster credentials: {folder}/token: {error.strerror}") from error
        if not token:
            raise CredentialsError(f"in-cluster credentials: {folder}/token is empty")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return _access(Found(server, authorization=f"Bearer {token}", ca=str(folder / "ca.crt")))

    return Credentials(load, IN_CLUSTER_REFRESH_S)


def discover(environ: Mapping[str, str], kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """The explicit kubeconfig, else $KUBECONFIG, else the pod's service account, else ~/.kube/config."""
    path = kubeconfig or environ.get("KUBECONFIG")
    if path:
        return from_kubeconfig(path, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ)
    return from_kubeconfig(str(Path.home() / ".kube" / "config"), context)


def _access(found: Found) -> ServerAccess:
    tls = None
    if found.server.startswith("https"):
        tls = TlsFiles.read(found.ca, found.cert, found.key, found.verify)
    return ServerAccess(
        host=found.server.rstrip("/"),
        authorization=found.authorization,
        tls=tls,
        server_hostname=found.server_name,
        proxy=found.proxy,
    )
