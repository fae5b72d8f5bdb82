"""A WorkerPool whose one worker is a real process, for gateways over a server of the API that is not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.authority import POD, POOL_NAMESPACE, Keys
from tests.support.gateway import NAMESPACE, WORKERPOOLS, JobApi
from tests.support.worker_client import WorkerProcess
from videofleet_api.names import LABEL_POOL, WORKER_API_PORT

PODS = "api/v1/pods"
POOL = "pool"
READY = [{"type": "Ready", "status": "True"}]


@dataclass(frozen=True)
class PoolOfOne:
    """`gateway_tls` and `operator_tls` are folders with key pairs that the worker knows."""

    worker: WorkerProcess
    address: str
    gateway_tls: Path
    operator_tls: Path

    def tell(self, api: JobApi, *, spec: dict[str, Any] | None = None, **status: Any) -> None:
        """Have the server show the pool and its pod, ready unless `status` says otherwise."""
        usual = {"accelerator": {"type": "none"}, "allowedNamespaces": [NAMESPACE]}
        api.put(WORKERPOOLS, POOL_NAMESPACE, POOL, spec=usual | (spec or {}), status={"models": []})
        told = {"podIP": self.address, "conditions": READY} | status
        api.put(PODS, POOL_NAMESPACE, POD, metadata={"labels": {LABEL_POOL: POOL}}, status=told)


@contextmanager
def real_pool(folder: Path, capacity: int) -> Iterator[PoolOfOne]:
    """A running worker on an address of the loopback network of its own, where the gateway expects it."""
    keys = Keys.made(folder)
    address = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    settings = {"listen": address, "api_port": str(WORKER_API_PORT), "capacity": str(capacity)}
    with WorkerProcess(folder / "archive", keys.server, **settings) as worker:
        yield PoolOfOne(worker, address, keys.reader, keys.operator)
