"""A stand-in for the API server, an authority, and simulated workers with certificates of it."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.support.simulated_worker import SimulatedWorker, TlsFiles
from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import session_to
from videofleet_api.names import worker_server_name
from videofleet_api.protocol import JobSpec
from videofleet_kube import ApiSession
from videofleet_operator.services import pki

NOW = datetime.datetime.now(datetime.UTC)
StartWorker = Callable[..., Awaitable[SimulatedWorker]]


@dataclass
class Payload:
    """What a job is given; None: its Secret has just become another."""

    spec: JobSpec | None

    def payload(self) -> JobSpec | None:
        return self.spec


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
async def session(api: FakeApi) -> AsyncIterator[ApiSession]:
    async with session_to(api.host) as opened:
        yield opened


@pytest.fixture(scope="session")
def authority() -> pki.KeyPair:
    return pki.new_authority(NOW)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def start_worker(authority: pki.KeyPair) -> AsyncIterator[StartWorker]:
    """Starts workers on the loopback address; their pods are NAME in the namespace video."""
    started: list[SimulatedWorker] = []

    async def start(name: str = "pool-0-0", **settings: Any) -> SimulatedWorker:
        issuer = settings.pop("authority", authority)
        pair = pki.issue_server(issuer, worker_server_name("video", name), NOW)
        tls = TlsFiles(pair.certificate, pair.key, issuer.certificate)
        worker = SimulatedWorker(name, "127.0.0.1", tls, port=0, heartbeat_seconds=0.05, **settings)
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()
