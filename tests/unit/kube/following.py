"""A reflector that runs against the fake API server, and what it tells."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.kube.helpers import Json, promptly
from videofleet_kube import CONFIGMAPS, ApiSession, Change, Reflector, WatchSettings

MAPS = "api/v1/configmaps"
PAGED = WatchSettings(streaming=False)
STREAMED = WatchSettings(streaming=True)
BOTH = pytest.mark.parametrize("settings", [PAGED, STREAMED], ids=["paged", "streamed"])


class Followed:
    """A running reflector of ConfigMaps' data, and what it has told."""

    def __init__(self, session: ApiSession, namespaces: list[str] | None, settings: WatchSettings) -> None:
        self.changes: list[Change[Json]] = []
        self.reflector: Reflector[Json] = Reflector(
            session,
            CONFIGMAPS,
            namespaces,
            self.changes.append,
            lambda obj: dict(obj.get("data") or {}),
            settings=settings,
            rng=random.Random(1),
            sleep=promptly(),
        )

    @property
    def names(self) -> dict[str, Json]:
        return {entry.name: entry.value or {} for entry in self.reflector.cache.entries()}

    def told(self) -> list[tuple[str, str]]:
        return [(change.type.value, change.name) for change in self.changes]


@asynccontextmanager
async def following(
    session: ApiSession, settings: WatchSettings = PAGED, namespaces: list[str] | None = None
) -> AsyncIterator[Followed]:
    followed = Followed(session, namespaces, settings)
    task = asyncio.create_task(followed.reflector.run())
    try:
        await asyncio.wait_for(followed.reflector.synced.wait(), 60)
        yield followed
    finally:
        assert not task.done(), "the reflector must never end by itself"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
