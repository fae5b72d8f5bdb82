"""A licensor, a namespace whose operator trusts it, and the cluster's one VideoLicense."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.cluster.operator.harness import LICENSES, World, eventually
from tests.support.licences import Signer
from tests.support.operator_process import OperatorProcess
from videofleet_api.names import API_VERSION, LICENSE_NAME
from videofleet_kube import ApiSession
from videofleet_kube.resources import SECRETS, Json


class Licensed:
    """A namespace whose operator trusts `signer`, and the VideoLicense that it looks at."""

    def __init__(self, world: World, signer: Signer) -> None:
        self.world = world
        self.signer = signer

    async def give(self, document: str) -> None:
        """Put the signed document where the VideoLicense points, and create that one if it is not there yet."""
        world = self.world
        if await world.api.get(SECRETS, world.namespace, "licence") is None:
            await world.secret("licence", license=document)
        else:
            body = {"stringData": {"license": document}}
            await world.api.patch(SECRETS, world.namespace, "licence", body)
        reference = {"namespace": world.namespace, "name": "licence"}
        body = {"apiVersion": API_VERSION, "kind": "VideoLicense", "metadata": {"name": LICENSE_NAME}}
        if await world.api.get(LICENSES, None, LICENSE_NAME) is None:
            await world.api.create(LICENSES, None, {**body, "spec": {"secretRef": reference}})

    async def until(self, status: str, reason: str) -> Json:
        """Wait for the condition Valid of the VideoLicense; its status."""

        async def check() -> Json | None:
            found = ((await self.world.api.get(LICENSES, None, LICENSE_NAME)) or {}).get("status") or {}
            valid = next((each for each in found.get("conditions", []) if each["type"] == "Valid"), {})
            return found if (valid.get("status"), valid.get("reason")) == (status, reason) else None

        return dict(await eventually(check, f"the licence is Valid={status} {reason}"))

    async def replace(self, document: str) -> None:
        """Have the VideoLicense point to another Secret with this document: a changed Secret is read late."""
        name = f"licence-{secrets.token_hex(3)}"
        await self.world.secret(name, license=document)
        body = {"spec": {"secretRef": {"namespace": self.world.namespace, "name": name}}}
        await self.world.api.patch(LICENSES, None, LICENSE_NAME, body)


@dataclass(frozen=True)
class Vendor:
    """A signer, and a namespace whose operator trusts it."""

    signer: Signer
    namespace: str
    operator: OperatorProcess


@asynccontextmanager
async def only_licence(api: ApiSession) -> AsyncIterator[None]:
    """Have the cluster's one VideoLicense for oneself. Other tests that need it are waited for."""

    async def free() -> bool:
        return await api.get(LICENSES, None, LICENSE_NAME) is None

    await eventually(free, "the cluster has no VideoLicense: these tests make their own and take it away", 120, 1)
    try:
        yield
    finally:
        if not await free():
            await api.delete(LICENSES, None, LICENSE_NAME)
