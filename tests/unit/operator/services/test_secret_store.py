"""When Secrets are read, and who hears of it."""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import ManualClock, eventually
from videofleet_kube import ApiSession
from videofleet_operator.services.secrets import REFRESH_MISSING, REFRESH_PRESENT, SecretStore

LOGIN = ("video", "login")
TICK = 0.005


@dataclass
class Watched:
    """A store that runs, and what it did."""

    api: FakeApi
    store: SecretStore
    clock: ManualClock
    changes: list[float] = field(default_factory=list)

    @property
    def reads(self) -> int:
        return sum(path.endswith("/secrets/login") for _, path, _ in self.api.requests)

    def was_read(self, times: int) -> bool:
        return self.reads == times and self.store.is_known(*LOGIN)

    def put(self, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.api.put("api/v1/secrets", *LOGIN, data=data)

    async def some_ticks(self) -> None:
        """Long enough for what is due to be read."""
        await asyncio.sleep(20 * TICK)


@pytest.fixture
async def watched(api: FakeApi, session: ApiSession) -> AsyncIterator[Watched]:
    clock = ManualClock()
    found = Watched(api, SecretStore(session, lambda: found.changes.append(clock.now), clock, tick=TICK), clock)
    task = asyncio.create_task(found.store.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_read_that_nobody_needs(watched: Watched) -> None:
    watched.put(password="one")
    await watched.some_ticks()
    assert watched.reads == 0
    assert not watched.store.is_known(*LOGIN)
    assert watched.store.version(*LOGIN) == -1


async def test_what_is_needed_is_read_at_once_and_then_once_a_minute(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    first = watched.store.version(*LOGIN)
    await eventually(lambda: watched.changes == [1000.0])
    watched.put(password="two")
    watched.clock.now += REFRESH_PRESENT - 1
    await watched.some_ticks()
    assert watched.reads == 1
    watched.clock.now += 1
    await eventually(lambda: watched.store.version(*LOGIN) > first)
    assert watched.reads == 2
    assert (watched.store.read(*LOGIN) or {})["password"] == base64.b64encode(b"two").decode()
    await eventually(lambda: watched.changes == [1000.0, 1000.0 + REFRESH_PRESENT])


async def test_the_same_content_is_no_change(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    version = watched.store.version(*LOGIN)
    watched.clock.now += REFRESH_PRESENT
    await eventually(lambda: watched.reads == 2)
    await watched.some_ticks()
    assert (watched.store.version(*LOGIN), len(watched.changes)) == (version, 1)


async def test_a_missing_one_is_looked_for_every_five_seconds(watched: Watched) -> None:
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    assert watched.store.read(*LOGIN) is None
    watched.put(password="one")
    watched.clock.now += REFRESH_MISSING - 1
    await watched.some_ticks()
    assert watched.reads == 1
    watched.clock.now += 1
    await eventually(lambda: watched.store.read(*LOGIN) is not None)
    await eventually(lambda: len(watched.changes) == 2)


async def test_one_that_lacks_what_is_waited_for_is_looked_at_as_often(watched: Watched) -> None:
    watched.put(username="viewer")
    watched.store.need({LOGIN: True})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    watched.put(password="one")
    watched.clock.now += REFRESH_MISSING
    await eventually(lambda: "password" in (watched.store.read(*LOGIN) or {}))


async def test_refused_credentials_are_read_again_at_once(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    watched.put(password="two")
    watched.store.read_again(*LOGIN)
    await eventually(lambda: watched.reads == 2)
    await eventually(lambda: len(watched.changes) == 2)
    watched.store.read_again("video", "unknown")
    await watched.some_ticks()
    assert watched.reads == 2


async def test_what_was_read_stays_good_while_the_api_server_is_away(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    watched.api.fail("GET", lambda: refusal(503, "ServiceUnavailable"))
    watched.clock.now += REFRESH_PRESENT
    await eventually(lambda: watched.reads == 2)
    await watched.some_ticks()
    assert watched.store.read(*LOGIN) is not None
    assert len(watched.changes) == 1


async def test_one_that_was_deleted_is_missing_again(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    watched.api.remove("api/v1/secrets", *LOGIN)
    watched.clock.now += REFRESH_PRESENT
    await eventually(lambda: watched.store.read(*LOGIN) is None)
    assert watched.store.is_known(*LOGIN)


async def test_what_nobody_needs_any_more_is_forgotten(watched: Watched) -> None:
    watched.put(password="one")
    watched.store.need({LOGIN: False})
    await eventually(lambda: watched.store.is_known(*LOGIN))
    watched.store.need({})
    assert not watched.store.is_known(*LOGIN)
    watched.clock.now += REFRESH_PRESENT
    await watched.some_ticks()
    assert watched.reads == 1


async def test_that_one_is_not_readable_is_logged_when_it_changes(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="videofleet_operator.services.secrets")
    watched.put(password="one")
    watched.api.fail("GET", lambda: refusal(403, "Forbidden"), times=3)
    watched.store.need({LOGIN: False})
    for reads in (1, 2, 3):
        await eventually(functools.partial(watched.was_read, reads))
        await watched.some_ticks()
        assert [each.message for each in caplog.records] == ["Secret not readable"]
        watched.clock.now += REFRESH_MISSING
    await eventually(lambda: watched.store.read(*LOGIN) is not None)
    assert [each.message for each in caplog.records] == ["Secret not readable", "Secret readable again"]
