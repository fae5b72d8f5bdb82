"""Nodes that nothing runs on: what kube-scheduler sees of a machine, kept up by the test in place of a kubelet."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from videofleet_kube import ApiSession
from videofleet_kube.errors import Conflict, NotFound
from videofleet_kube.resources import LEASES, NODES, Json, Resource

DEVICE_CLASSES = Resource("resource.k8s.io", "v1", "deviceclasses", namespaced=False)
RESOURCE_SLICES = Resource("resource.k8s.io", "v1", "resourceslices", namespaced=False)
CLAIM_TEMPLATES = Resource("resource.k8s.io", "v1", "resourceclaimtemplates")
CLAIMS = Resource("resource.k8s.io", "v1", "resourceclaims")
DRIVER = "gpu.test.videofleet.io"
LABEL = "videofleet.io/test-node"
_LEASE_NAMESPACE = "kube-node-lease"
_BEAT_SECONDS = 5.0
_ROOM = {"cpu": "64", "memory": "256Gi", "pods": "110"}


@dataclass(frozen=True, slots=True)
class FakeNode:
    """A node that exists while the block of `fake_node` runs."""

    name: str

    @property
    def selector(self) -> dict[str, str]:
        """The node selector that finds it alone."""
        return {LABEL: self.name}


@asynccontextmanager
async def fake_node(api: ApiSession, resources: Mapping[str, str] | None = None) -> AsyncIterator[FakeNode]:
    """A node that is ready and has these extended resources. The taint keeps all other pods away."""
    name = f"fake-{secrets.token_hex(4)}"
    taint = {"key": LABEL, "value": name, "effect": "NoSchedule"}
    await api.create(NODES, None, {"metadata": {"name": name, "labels": {LABEL: name}}, "spec": {"taints": [taint]}})
    await _beat(api, name, resources or {})
    heart = asyncio.create_task(_live(api, name, resources or {}))
    try:
        yield FakeNode(name)
    finally:
        heart.cancel()
        await asyncio.gather(heart, return_exceptions=True)
        await api.delete(NODES, None, name)


def tolerations(node: FakeNode) -> list[Json]:
    """What a pod needs to get onto the node."""
    return [{"key": LABEL, "operator": "Equal", "value": node.name, "effect": "NoSchedule"}]


@asynccontextmanager
async def devices(api: ApiSession, node: FakeNode, names: Sequence[str]) -> AsyncIterator[str]:
    """Devices of the node, as a driver publishes them, and the DeviceClass that has them; yields its name."""
    device_class = f"{node.name}.videofleet.io"
    selector = {
        "cel": {"expression": f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].node == '{node.name}'"}
    }
    await api.create(DEVICE_CLASSES, None, {"metadata": {"name": device_class}, "spec": {"selectors": [selector]}})
    published = [{"name": name, "attributes": {"node": {"string": node.name}}} for name in names]
    pool = {"name": node.name, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "nodeName": node.name, "pool": pool, "devices": published}
    await api.create(RESOURCE_SLICES, None, {"metadata": {"name": node.name}, "spec": spec})
    try:
        yield device_class
    finally:
        await api.delete(RESOURCE_SLICES, None, node.name)
        await api.delete(DEVICE_CLASSES, None, device_class)


async def _live(api: ApiSession, name: str, resources: Mapping[str, str]) -> None:
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        await _beat(api, name, resources)


async def _beat(api: ApiSession, name: str, resources: Mapping[str, str]) -> None:
    """What a kubelet writes: its Lease, that the node is ready, and what it has."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    ready = {"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": f"{now}Z"}
    room = {**_ROOM, **resources}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    await api.patch(NODES, None, name, {"status": status}, subresource="status")
    lease = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": f"{now}.000000Z"}
    try:
        await api.patch(LEASES, _LEASE_NAMESPACE, name, {"spec": lease})
    except NotFound:
        try:
            await api.create(LEASES, _LEASE_NAMESPACE, {"metadata": {"name": name}, "spec": lease})
        except (Conflict, NotFound):
            # The namespace comes with the cluster's first node; the status alone is a sign of life, too.
            return
