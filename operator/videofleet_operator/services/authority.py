"""The operator's own certificate authority, kept in a Secret of its namespace and shared by its replicas."""

import base64
import datetime
import os
import ssl
import tempfile
from pathlib import Path

from videofleet_api.names import OPERATOR_CLIENT_NAME
from videofleet_kube.errors import AlreadyExists
from videofleet_kube.resources import SECRETS
from videofleet_kube.session import ApiSession
from videofleet_operator.services import pki


class AuthorityError(Exception):
    """The Secret of the authority is there but not usable; the message says what is wrong."""


async def load_or_create(api: ApiSession, namespace: str, name: str, now: datetime.datetime) -> pki.KeyPair:
    """The authority in the Secret `name`; the first replica to come makes it, all others take what is there.

    Raises AuthorityError where the Secret lacks its keys, ApiError where it cannot be read or made.
    """
    secret = await api.get(SECRETS, namespace, name)
    if secret is None:
        pair = pki.new_authority(now)
        try:
            await api.create(SECRETS, namespace, _manifest(namespace, name, pair))
        except AlreadyExists:
            secret = await api.get(SECRETS, namespace, name)
        else:
            return pair
    data = (secret or {}).get("data") or {}
    try:
        pair = pki.KeyPair(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
        pki.check_authority(pair)
        return pair
    except (KeyError, ValueError, TypeError) as error:
        raise AuthorityError(
            f"Secret {namespace}/{name} has no usable tls.crt and tls.key ({error}): "
            "delete it and a new one is made; all workers are then replaced"
        ) from error


async def identity(api: ApiSession, namespace: str, name: str) -> str:
    """What no other operator is called, in no other cluster either: the uid of the authority's Secret.

    Raises ApiError.
    """
    secret = await api.get(SECRETS, namespace, name)
    metadata = (secret or {}).get("metadata")
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""


def client_context(authority: pki.KeyPair, now: datetime.datetime) -> ssl.SSLContext:
    """A TLS context that trusts workers of this authority alone and presents the operator's client certificate."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=authority.certificate.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    pair = pki.issue_client(authority, OPERATOR_CLIENT_NAME, now)
    # The ssl module loads a key pair from files only; the folder is private and gone right after.
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_bytes(pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(pair.key)
        context.load_cert_chain(os.fspath(certificate), os.fspath(key))
    return context


def _manifest(namespace: str, name: str, pair: pki.KeyPair) -> dict[str, object]:
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "videofleet-operator"},
        },
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
