"""Where the API server is and how to prove who we are, by the rules of the `kubernetes` package."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration

IN_CLUSTER_REFRESH_S = 60.0
"""A pod's token is rotated on disk well before it expires; reading it once a minute is always in time."""

# The package ships annotations for few of its functions; these two it does not annotate.
_load_kubeconfig: Callable[..., Awaitable[object]] = kubernetes_config.load_kube_config
_load_in_cluster: Callable[..., object] = kubernetes_config.load_incluster_config


class CredentialsError(Exception):
    """No usable credentials; the message names the file or variable at fault."""


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
        configuration = Configuration()
        try:
            await _load_kubeconfig(
                config_file=path, context=context, client_configuration=configuration, persist_config=False
            )
        except kubernetes_config.ConfigException as error:
            raise CredentialsError(f"kubeconfig {path}: {error}") from error
        except Exception as error:  # noqa: BLE001 - raised again as what it means
            # The package lets whatever its parsing trips over through; the text of that may quote the file.
            raise CredentialsError(f"kubeconfig {path} cannot be read ({type(error).__name__})") from None
        return _access(configuration)

    return Credentials(load)


def in_cluster() -> Credentials:
    """Credentials of the pod's service account."""

    async def load() -> ServerAccess:
        configuration = Configuration()
        try:
            _load_in_cluster(client_configuration=configuration)
        except kubernetes_config.ConfigException as error:
            raise CredentialsError(f"in-cluster credentials: {error}") from error
        return _access(configuration)

    return Credentials(load, IN_CLUSTER_REFRESH_S)


def discover(environ: Mapping[str, str], kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """The explicit kubeconfig, else $KUBECONFIG, else the pod's service account, else ~/.kube/config."""
    path = kubeconfig or environ.get("KUBECONFIG")
    if path:
        return from_kubeconfig(path, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster()
    return from_kubeconfig(str(Path.home() / ".kube" / "config"), context)


def _access(configuration: Configuration) -> ServerAccess:
    host = str(configuration.host).rstrip("/")
    token = configuration.api_key.get("BearerToken")
    tls = None
    if host.startswith("https"):
        tls = TlsFiles.read(
            configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file, bool(configuration.verify_ssl)
        )
    return ServerAccess(
        host=host,
        authorization=_header(token) if token else None,
        tls=tls,
        server_hostname=configuration.tls_server_name,
        proxy=configuration.proxy,
    )


def _header(token: str) -> str:
    """The loaders prefix the scheme themselves, in-cluster in lower case, and keep a file's trailing newline."""
    scheme, _, secret = token.strip().partition(" ")
    return f"Bearer {secret.strip()}" if scheme.lower() == "bearer" else token.strip()
