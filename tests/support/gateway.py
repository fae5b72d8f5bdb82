"""A gateway on real sockets for tests: over a server that speaks the API's wire format, a SQLite file and a folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.unit.kube.fakeapi import FakeApi
from videofleet_api.names import API_VERSION, GROUP, VERSION
from videofleet_gateway.app import Gateway, opened
from videofleet_gateway.config import Config
from videofleet_kube import Credentials, ServerAccess, fixed
from videofleet_kube.resources import Json

VIDEOJOBS = f"apis/{GROUP}/{VERSION}/videojobs"
WORKERPOOLS = f"apis/{GROUP}/{VERSION}/workerpools"
NAMESPACE = "team-a"
PROJECT = "project-a"
KEY = "vf_test-key-a"
OTHER_KEY = "vf_test-key-b"
"""Of another project, in another namespace."""
OTHER_NAMESPACE = "team-b"


class JobApi(FakeApi):
    """Gives objects what the API server gives them: a time of creation and a generation."""

    def put(self, collection: str, namespace: str, name: str, **fields: Any) -> Json:
        known = self.objects.get((collection, namespace, name))
        given = fields.pop("metadata", {})
        if known is None:
            metadata = {"generation": 1, "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        else:
            changed = "spec" in fields and fields["spec"] != known.get("spec")
            metadata = {"generation": known["metadata"]["generation"] + changed}
        return super().put(collection, namespace, name, metadata={**metadata, **given}, **fields)

    def job(self, name: str, namespace: str = NAMESPACE, **fields: Any) -> Json:
        """A VideoJob that somebody has applied."""
        return self.put(VIDEOJOBS, namespace, name, apiVersion=API_VERSION, kind="VideoJob", **fields)

    def jobs(self, namespace: str = NAMESPACE) -> list[Json]:
        """The VideoJobs of a namespace."""
        return [one for one in self.collection(VIDEOJOBS) if one["metadata"]["namespace"] == namespace]

    def tell(self, job: Json, **status: Any) -> Json:
        """What the operator says of a job."""
        metadata = job["metadata"]
        return self.put(VIDEOJOBS, metadata["namespace"], metadata["name"], status=status)


@dataclass
class Served:
    """A running gateway. `archive` is the folder that workers write to."""

    gateway: Gateway
    archive: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Tells it to stop."""
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def url(self, port: str = "v_port") -> str:
        """Where a dialect is served."""
        return f"http://127.0.0.1:{self.gateway.ports[port].port}"

    def client(self, key: str | None = KEY, port: str = "v_port", **options: Any) -> httpx.AsyncClient:
        """Somebody with a key, or without one; closed with the gateway."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        made = httpx.AsyncClient(base_url=self.url(port), headers=headers, timeout=120, **options)
        self.clients[f"{len(self.clients)}"] = made
        return made


def settings(folder: Path, **changes: Any) -> Config:
    """Of a gateway whose files lie in a folder; ports are free ones."""
    usual: dict[str, Any] = {
        "listen_host": "127.0.0.1",
        "database_url": f"sqlite+aiosqlite:///{folder}/gateway.db",
        "archive": str(folder / "archive"),
        "drain_seconds": 0,
        "v_requests_per_minute": 100_000,
        # NiceGUI is one for a process; tests of the page have it in a process of its own.
        "ui": False,
        **{name: 0 for name in Config.model_fields if name.endswith("_port")},
    }
    return Config(**(usual | changes))


@asynccontextmanager
async def served(config: Config, credentials: Credentials, namespace: str = NAMESPACE) -> AsyncIterator[Served]:
    """A gateway that answers, with the keys of two projects."""
    async with opened(config, credentials) as gateway:
        keys = gateway.context.keys
        for key, project, where in ((KEY, PROJECT, namespace), (OTHER_KEY, "project-b", OTHER_NAMESPACE)):
            if await keys.project_of(key) is None:
                await keys.create(project, where, key)
        one = Served(gateway, Path(config.archive))
        serving = asyncio.create_task(gateway.serve(one.stop))
        try:
            async with asyncio.timeout(120):
                await gateway.context.jobs.cache.wait_synced()
            yield one
        finally:
            for client in one.clients.values():
                await client.aclose()
            one.stop.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await serving


@asynccontextmanager
async def served_over(api: JobApi, folder: Path, **changes: Any) -> AsyncIterator[Served]:
    """A gateway over a server of the test's own."""
    async with served(settings(folder, **changes), fixed(ServerAccess(api.host))) as one:
        yield one
