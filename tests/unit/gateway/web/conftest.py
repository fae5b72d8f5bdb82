"""A gateway process with the page, and a browser: Debian's Chromium without a window."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
import yaml
from playwright.async_api import Browser, BrowserContext, Page, StorageState, async_playwright, expect

from tests.support.gateway import KEY, NAMESPACE, OTHER_KEY, OTHER_NAMESPACE, PROJECT, JobApi
from tests.support.programs import GATEWAY, environment
from tests.unit.gateway.v_world import until
from videofleet_gateway.store.database import Database
from videofleet_gateway.store.keys import Keys

READ_KEY = "vf_test-key-that-only-reads"
CHROMIUM = "/usr/bin/chromium"
_PATIENCE = 120_000
"""Milliseconds that a page has to show what is expected of it."""
expect.set_options(timeout=_PATIENCE)


@dataclass
class Gateway:
    """A process over a prepared folder, which comes and goes at the same address."""

    folder: Path
    program: Sequence[str]
    settings: Mapping[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    _process: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Until it is ready."""
        given = {**self.settings, **{name: str(port) for name, port in self.ports.items()}}
        process = gateway_process(self.folder, self.program, **given)
        self.ports = await self._process.enter_async_context(process)

    async def stop(self) -> None:
        """Until it has ended, and well."""
        await self._process.aclose()


@dataclass
class Stage:
    """A gateway over a server of the test's own."""

    api: JobApi
    gateway: Gateway
    browser: Browser
    wrong: list[str] = field(default_factory=list)
    """What browsers complained of: refused scripts, files that are missing, addresses that are not the gateway's."""

    @property
    def origin(self) -> str:
        """Where the page and V are."""
        return f"http://127.0.0.1:{self.gateway.ports['v_port']}"

    @property
    def archive(self) -> Path:
        """Where logs lie."""
        return self.gateway.folder / "archive"

    @asynccontextmanager
    async def visit(self, **options: Any) -> AsyncIterator[Page]:
        """Somebody's browser, not signed in yet."""
        context = await self.browser.new_context(base_url=self.origin, **options)
        self._listen(context)
        try:
            yield await context.new_page()
        finally:
            await context.close()

    def _listen(self, context: BrowserContext) -> None:
        context.set_default_timeout(_PATIENCE)
        context.on("request", lambda asked: None if asked.url.startswith(self.origin) else self.wrong.append(asked.url))
        context.on("console", lambda said: self.wrong.append(said.text) if "Content Security" in said.text else None)
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))


async def sign_in(page: Page, key: str = KEY) -> None:
    """As a person does."""
    await page.goto("/ui")
    await page.get_by_label("API key of your project").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Video tasks").wait_for()


async def prepare(folder: Path, server: str) -> None:
    """What a gateway needs in its folder: the keys of two projects, an archive, and where the API server is."""
    database = Database(_database(folder))
    await database.migrate()
    for key, project, namespace in ((KEY, PROJECT, NAMESPACE), (OTHER_KEY, "project-b", OTHER_NAMESPACE)):
        await Keys(database).create(project, namespace, key)
    await Keys(database).create(PROJECT, NAMESPACE, READ_KEY, read_only=True)
    await database.close()
    (folder / "kubeconfig").write_text(_kubeconfig(server))
    (folder / "archive").mkdir()


def _database(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/gateway.db"


@asynccontextmanager
async def gateway_process(folder: Path, program: Sequence[str], **settings: str) -> AsyncIterator[dict[str, int]]:
    """The gateway over a prepared folder, ready, and its ports. `program`: what Python is to run."""
    given = {
        "listen_host": "127.0.0.1", "database_url": _database(folder), "archive": str(folder / "archive"),
        "drain_seconds": "0", "v_port": "0", "f_port": "0", "plain_port": "0", **settings,
    }  # fmt: skip
    variables = environment(*GATEWAY, variables={"KUBECONFIG": str(folder / "kubeconfig")}, **given)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, env=variables, stderr=asyncio.subprocess.PIPE, cwd=folder
    )
    assert process.stderr is not None
    ports: dict[str, int] = {}
    lines: list[str] = []
    while not ports:
        line = await process.stderr.readline()
        assert line, f"the gateway ended: {lines}"
        lines.append(line.decode())
        said = orjson.loads(line) if line.startswith(b"{") else {}
        ports = {name: port for name, port in said.items() if name.endswith("_port")}
    reading = asyncio.create_task(process.stderr.read())
    try:
        await _until_ready(ports["plain_port"])
        yield ports
    finally:
        process.terminate()
        written = (await reading).decode()
        assert await process.wait() == 0
    assert '"level":"ERROR"' not in written, written
    assert KEY not in written


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
    )


async def _until_ready(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await until(lambda: _is_ready(client), "the gateway is ready", 60)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Root may not have the sandbox; the pages that it opens are the test's own.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        await running.close()


@pytest.fixture(scope="module")
def more_settings() -> dict[str, str]:
    """Of the gateway, beside the usual."""
    return {}


@pytest.fixture(scope="module")
def program() -> Sequence[str]:
    """What Python is to run."""
    return ("-m", "videofleet_gateway")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser, program: Sequence[str], more_settings: dict[str, str]
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("gateway")
    async with JobApi() as api:
        await prepare(folder, api.host)
        gateway = Gateway(folder, program, more_settings)
        await gateway.start()
        one = Stage(api, gateway, browser)
        yield one
        await gateway.stop()
        assert one.wrong == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signed_in(stage: Stage) -> StorageState:
    """What the browser of somebody who has signed in keeps."""
    async with stage.visit() as one:
        await sign_in(one)
        return await one.context.storage_state()


@pytest_asyncio.fixture(loop_scope="session")
async def page(stage: Stage, signed_in: StorageState) -> AsyncIterator[Page]:
    """Of somebody who has signed in, at the tasks."""
    async with stage.visit(storage_state=signed_in) as one:
        await one.goto("/ui/tasks")
        yield one
