"""The key pair of those who may only read from workers, in a Secret that their pods mount."""

import base64
import binascii
import datetime

from videofleet_api.names import READER_CLIENT_NAME
from videofleet_kube.errors import AlreadyExists
from videofleet_kube.resources import SECRETS, Json
from videofleet_kube.session import ApiSession
from videofleet_operator.services import pki


async def make_good(api: ApiSession, namespace: str, name: str, authority: pki.KeyPair, now: datetime.datetime) -> None:
    """See that the Secret is there and of this authority. Each operator that starts renews what is half spent.

    Raises ApiError.
    """
    found = await api.get(SECRETS, namespace, name)
    if found is not None and pki.lasts(authority, _certificate(found), now):
        return
    pair = pki.issue_client(authority, READER_CLIENT_NAME, now)
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    if found is not None:
        await api.patch(SECRETS, namespace, name, {"data": encoded})
        return
    try:
        await api.create(SECRETS, namespace, _manifest(name, encoded))
    except AlreadyExists:
        # Another replica was faster; what it has made is as good.
        return


def _certificate(secret: Json) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get("tls.crt", ""), validate=True)
    except binascii.Error:
        return b""


def _manifest(name: str, data: dict[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "videofleet-operator"}},
        "data": data,
    }
