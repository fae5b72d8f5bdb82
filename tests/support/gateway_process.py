"""The gateway as the process that it is in its container, and clients that come again until they have everything."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.support.gateway import KEY, NAMESPACE, PROJECT
from tests.support.programs import GATEWAY, environment, free_port
from videofleet_gateway.store.database import Database
from videofleet_gateway.store.keys import Keys

PATIENCE = 180.0
_POLL = 0.05


def have(clients: Sequence[Subscriber], size: int) -> bool:
    """Whether each has so many bytes."""
    return all(len(client.got) >= size for client in clients)


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait for it. AssertionError after a long time."""
    for _ in range(int(PATIENCE / _POLL)):
        found = holds()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(_POLL)
    raise AssertionError(f"still not so after {PATIENCE:g} s: {what}")


class GatewayProcess:
    """`python -m videofleet_gateway` on ports that stay the same when it is started again."""

    def __init__(self, folder: Path, api: str, name: str = "gateway", **settings: str) -> None:
        """`folder` holds its database and the archive; `api` is the address of the API server."""
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.log = folder / f"{name}.log"
        self._database = f"sqlite+aiosqlite:///{folder}/gateway.db"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(api)))
        usual = {
            "listen_host": "127.0.0.1",
            "v_port": str(self.port),
            "f_port": "0",
            "plain_port": str(self.plain_port),
            "database_url": self._database,
            "archive": str(folder / "archive"),
        }
        self._environment = environment(*GATEWAY, variables={"KUBECONFIG": str(kubeconfig)}, **(usual | settings))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where V is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, with KEY as a key, and wait until it is ready."""
        database = Database(self._database)
        await database.migrate()
        if await Keys(database).project_of(KEY) is None:
            await Keys(database).create(PROJECT, NAMESPACE, KEY)
        await database.close()
        self._launch()
        await until(self.is_ready, "the gateway is ready")

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "videofleet_gateway"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    async def is_ready(self) -> bool:
        """Whether /readyz says so."""
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return await self.readiness() == 200

    async def readiness(self) -> int:
        """The status of /readyz; 0 while nobody answers."""
        try:
            async with aiohttp.ClientSession() as session, session.get(self._plain("/readyz")) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    def _plain(self, path: str) -> str:
        return f"http://127.0.0.1:{self.plain_port}{path}"

    def kill(self) -> None:
        """SIGKILL, as when its node dies."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def terminate(self) -> None:
        """SIGTERM, as its pod's deletion."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, PATIENCE)


def _kubeconfig(api: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": api}}],
        "users": [{"name": "me", "user": {"token": "token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }


@dataclass
class Subscriber:
    """A client that counts the bytes it has, and comes again with that until the stream is over."""

    path: str
    origins: list[str]
    """Tried in turn."""
    got: bytearray = field(default_factory=bytearray)
    connects: int = 0
    """Streams that it was given."""
    origin: str = ""
    """Of the stream that it has now."""

    async def listen(self) -> bytes:
        """Everything."""
        # Nothing of an answer is to be kept back when a connection breaks: what was not seen is asked for again.
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            for attempt in range(int(PATIENCE / _POLL)):
                origin = self.origins[attempt % len(self.origins)]
                try:
                    if await self._once(session, origin):
                        return bytes(self.got)
                except (aiohttp.ClientError, ConnectionError):
                    pass
                self.origin = ""
                await asyncio.sleep(_POLL)
        raise AssertionError(f"only {len(self.got)} bytes came in {self.connects} streams")

    async def _once(self, session: aiohttp.ClientSession, origin: str) -> bool:
        headers = {"Authorization": f"Bearer {KEY}", "Last-Event-ID": str(len(self.got))}
        async with session.get(origin + self.path, headers=headers) as answer:
            if answer.status == 204:
                return True
            assert answer.status == 200, await answer.text()
            self.connects += 1
            self.origin = origin
            async for data in answer.content.iter_any():
                self.got += data
        return False
