"""Kubeconfig files that need more than reading: by the rules of the `kubernetes` package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration

from .kubeconfig import CredentialsError, Found

# The package ships annotations for few of its functions; this one it does not annotate.
_load_kubeconfig: Callable[..., Awaitable[object]] = kubernetes_config.load_kube_config


async def load_kubeconfig(path: str, context: str | None) -> Found:
    """What a kubeconfig file says, or several do, joined as in $KUBECONFIG."""
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
    token = configuration.api_key.get("BearerToken")
    return Found(
        server=str(configuration.host),
        authorization=_header(token) if token else None,
        ca=configuration.ssl_ca_cert,
        cert=configuration.cert_file,
        key=configuration.key_file,
        verify=bool(configuration.verify_ssl),
        server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
    )


def _header(token: str) -> str:
    """The loaders prefix the scheme themselves and keep a file's trailing newline."""
    scheme, _, secret = token.strip().partition(" ")
    return f"Bearer {secret.strip()}" if scheme.lower() == "bearer" else token.strip()
