"""What of a job must not stand in its spec: Secrets that belong to it, and go with it."""

import asyncio
import base64
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from videofleet_api.names import API_VERSION
from videofleet_gateway.errors import of_api
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.jobs.urls import Address
from videofleet_kube.errors import ApiError
from videofleet_kube.resources import SECRETS, Json
from videofleet_kube.session import ApiSession

SOURCE: Final = "source"
HEADERS: Final = "headers"
ROUTER: Final = "router"
"""What a Secret is for, as its name says."""
POSTED: Final = "posted"
"""Key of a source's address as it was posted. Beside it, where need be, are those that the operator reads."""
_URL, _USERNAME, _PASSWORD = "url", "username", "password"
_FORMS_OF_SOURCE: Final = ("url", "urlSecretRef", "images", "credentialsSecretRef")
_KNOWN: Final = 10_000
_AT_ONCE: Final = 16
_log: Final = logging.getLogger(__name__)


def secret_name(job: str, purpose: str) -> str:
    """A name that no other Secret has or had: what is in a Secret of this name never changes."""
    return f"{job}-{purpose}-{secrets.token_hex(4)}"


def source_secret(posted: str, address: Address) -> dict[str, str] | None:
    """What of an address is kept in a Secret; None where all of it may stand in the spec."""
    credentials = address.credentials
    if credentials is None and not address.secret:
        return None
    kept = {POSTED: posted} | ({_URL: address.url} if address.secret else {})
    return kept | ({_USERNAME: credentials.username, _PASSWORD: credentials.password} if credentials else {})


def source_with(source: Mapping[str, Any], address: Address, secret: str | None) -> dict[str, Any]:
    """A spec's source that leads to this address; `secret`: the name of the one that holds the rest of it."""
    kept = {key: value for key, value in source.items() if key not in _FORMS_OF_SOURCE}
    if address.secret:
        kept["urlSecretRef"] = {"name": secret, "key": _URL}
    else:
        kept["url"] = address.url
    return kept | ({"credentialsSecretRef": {"name": secret}} if address.credentials else {})


class JobSecrets:
    """Makes, reads and takes away the Secrets of jobs. Each is written once, so what was read stays good."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._known: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def make(self, job: Job, name: str, data: Mapping[str, str]) -> None:
        """A Secret that goes when the job goes. Raises GatewayError."""
        try:
            await self._session.create(SECRETS, job.namespace, _manifest(job, name, data))
        except ApiError as error:
            raise of_api(error) from error
        self._remember((job.namespace, name), dict(data))

    async def read(self, job: Job, name: str) -> dict[str, str] | None:
        """What is in a Secret of the job's own; None for those of others, which are not looked at."""
        if not is_own(job, name):
            return None
        key = (job.namespace, name)
        if key not in self._known:
            try:
                async with self._reading:
                    found = await self._session.get(SECRETS, job.namespace, name)
            except ApiError as error:
                raise of_api(error) from error
            if found is None or not _belongs(found, job):
                return None
            data = found.get("data") or {}
            self._remember(key, {entry: base64.b64decode(value).decode() for entry, value in data.items()})
        return self._known[key]

    async def drop(self, job: Job, names: Iterable[str]) -> None:
        """Take away those that the job has no more. One that stays goes with the job."""
        for name in names:
            self._known.pop((job.namespace, name), None)
            try:
                await self._session.delete(SECRETS, job.namespace, name)
            except ApiError as error:
                _log.warning("a Secret of a job was not deleted: %s", error, extra={"job": job.name, "secret": name})

    def _remember(self, key: tuple[str, str], data: dict[str, str]) -> None:
        self._known[key] = data
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def is_own(job: Job, name: str) -> bool:
    """Whether the gateway has made this Secret for this job."""
    return any(name.startswith(f"{job.name}-{purpose}-") for purpose in (SOURCE, HEADERS, ROUTER))


def _belongs(secret: Json, job: Job) -> bool:
    owners = secret["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == job.uid for owner in owners)


def _manifest(job: Job, name: str, data: Mapping[str, str]) -> Json:
    owner = {"apiVersion": API_VERSION, "kind": "VideoJob", "name": job.name, "uid": job.uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "videofleet-gateway"},
            "ownerReferences": [owner],
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
