"""The reflector against a real API server: what the fake one of the unit tests does must be what this one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.kube.helpers import Json, eventually, promptly
from videofleet_kube import CONFIGMAPS, ApiSession, Change, Reflector, WatchSettings
from videofleet_kube.watching import batches

PAGED = WatchSettings(streaming=False, page_size=3)
STREAMED = WatchSettings(streaming=True)
BOTH = pytest.mark.parametrize("settings", [PAGED, STREAMED], ids=["paged", "streamed"])


class Followed:
    """A reflector of one namespace's ConfigMaps."""

    def __init__(self, session: ApiSession, namespace: str, settings: WatchSettings) -> None:
        self.changes: list[Change[Json]] = []
        self.reflector: Reflector[Json] = Reflector(
            session,
            CONFIGMAPS,
            [namespace],
            self.changes.append,
            lambda obj: dict(obj.get("data") or {}) if obj["metadata"]["name"] != "kube-root-ca.crt" else None,
            settings=settings,
            sleep=promptly(),
        )

    @property
    def names(self) -> dict[str, Json]:
        return {entry.name: entry.value or {} for entry in self.reflector.cache.entries()}


@asynccontextmanager
async def following(session: ApiSession, namespace: str, settings: WatchSettings) -> AsyncIterator[Followed]:
    followed = Followed(session, namespace, settings)
    task = asyncio.create_task(followed.reflector.run())
    try:
        await asyncio.wait_for(followed.reflector.synced.wait(), 60)
        yield followed
    finally:
        assert not task.done()
        task.cancel()


async def make(session: ApiSession, namespace: str, name: str, **data: str) -> Json:
    return await session.create(CONFIGMAPS, namespace, {"metadata": {"name": name}, "data": data})


@BOTH
async def test_lists_and_follows(session: ApiSession, namespace: str, settings: WatchSettings) -> None:
    for index in range(7):
        await make(session, namespace, f"m{index}", k=str(index))
    async with following(session, namespace, settings) as followed:
        assert followed.names == {f"m{index}": {"k": str(index)} for index in range(7)}
        await session.patch(CONFIGMAPS, namespace, "m0", {"data": {"k": "changed"}})
        await session.delete(CONFIGMAPS, namespace, "m1")
        await make(session, namespace, "new", k="n")
        await eventually(lambda: "new" in followed.names, timeout=60)
        assert "m1" not in followed.names
        assert followed.names["m0"] == {"k": "changed"}
        told = [(change.type.value, change.name) for change in followed.changes[7:]]
        assert told == [("MODIFIED", "m0"), ("DELETED", "m1"), ("ADDED", "new")]
        assert followed.reflector.counters.lists == 1


async def test_this_server_streams_lists(session: ApiSession, namespace: str) -> None:
    """Kubernetes 1.34 and later do; the reflector must not have fallen back."""
    await make(session, namespace, "one")
    before = session.requests
    async with following(session, namespace, STREAMED) as followed:
        assert "one" in followed.names
        assert session.requests - before == 1


@BOTH
async def test_refreshed_reaches_what_was_written_before_the_call(
    session: ApiSession, namespace: str, settings: WatchSettings
) -> None:
    async with following(session, namespace, settings) as followed:
        for index in range(5):
            await make(session, namespace, f"m{index}")
            await asyncio.wait_for(followed.reflector.refreshed(), 60)
            assert f"m{index}" in followed.names
        assert followed.reflector.counters.lists == 6


async def test_a_version_from_the_future_is_met_with_silence(session: ApiSession, namespace: str) -> None:
    """Why two silences in a row mean to list anew: a server restored from a backup cannot tell."""
    query: dict[str, str | int | None] = {
        "resourceVersion": str(10**15),
        "timeoutSeconds": 2,
        "allowWatchBookmarks": "true",
    }
    async with session.watch(CONFIGMAPS, namespace, query) as chunks:
        await make(session, namespace, "unheard")
        heard = [event async for events in batches(chunks) for event in events]
    assert heard == []


async def test_fed_writes_are_seen_at_once_and_only_once(session: ApiSession, namespace: str) -> None:
    async with following(session, namespace, STREAMED) as followed:
        obj = await make(session, namespace, "mine", k="1")
        followed.reflector.feed(obj)
        assert followed.names["mine"] == {"k": "1"}
        followed.reflector.feed(await session.patch(CONFIGMAPS, namespace, "mine", {"data": {"k": "2"}}))
        assert followed.names["mine"] == {"k": "2"}
        await make(session, namespace, "end")
        await eventually(lambda: "end" in followed.names, timeout=60)
        told = [(change.type.value, change.name) for change in followed.changes]
        assert told == [("ADDED", "mine"), ("MODIFIED", "mine"), ("ADDED", "end")]


async def test_a_broken_connection_loses_nothing(session: ApiSession, namespace: str) -> None:
    """Silence of a tenth of a second breaks every watch, again and again."""
    settings = WatchSettings(streaming=True, silence=0.1)
    async with following(session, namespace, settings) as followed:
        for index in range(30):
            obj = await make(session, namespace, f"m{index}")
            if index % 3 == 0:
                await session.delete(CONFIGMAPS, namespace, f"m{index}", uid=obj["metadata"]["uid"])
        expected = sorted(f"m{index}" for index in range(30) if index % 3)
        await eventually(lambda: sorted(followed.names) == expected, timeout=60)
        await eventually(lambda: followed.reflector.counters.silences > 2, timeout=60)
        assert sorted(followed.names) == expected
