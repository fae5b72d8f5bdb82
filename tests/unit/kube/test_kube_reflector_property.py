"""Whatever happens to the objects and to the connection, in whatever order, the cache ends equal to the server."""

from __future__ import annotations

import asyncio
import copy
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import Json, eventually, promptly, session_to
from videofleet_kube import CONFIGMAPS, Change, ChangeType, Reflector, WatchSettings

MAPS = "api/v1/configmaps"
NAMES = ("a", "b", "c")

names = st.sampled_from(NAMES)
world = st.one_of(
    st.tuples(st.just("put"), names, st.integers(0, 3)),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("recreate"), names, st.integers(0, 3)),
)
wire = st.sampled_from(
    [("cut",), ("cut within",), ("end",), ("expire",), ("refresh",), ("bookmark",), ("garbage",), ("pause",)]
)
tricks = st.one_of(st.tuples(st.just("repeat"), st.integers(0, 20)), st.tuples(st.just("mute"), st.booleans()))
actions = st.lists(st.one_of(world, world, wire, tricks), max_size=25)


class Run:
    """One history played against a server, a reflector following it."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.said: list[tuple[str, Json]] = []
        self.changes: list[Change[Json]] = []

    def put(self, name: str, value: int) -> None:
        obj = self.api.put(MAPS, "n", name, data={"v": str(value)})
        self.said.append(("MODIFIED", copy.deepcopy(obj)))

    def remove(self, name: str) -> None:
        if (MAPS, "n", name) in self.api.objects:
            self.said.append(("DELETED", self.api.remove(MAPS, "n", name)))

    async def play(self, action: tuple[Any, ...], reflector: Reflector[Json]) -> None:
        match action:
            case ("put", name, value):
                self.put(name, value)
            case ("remove", name):
                self.remove(name)
            case ("recreate", name, value):
                self.remove(name)
                self.put(name, value)
            case ("repeat", index) if self.said:
                self.api.say(*self.said[index % len(self.said)])
            case ("mute", muted):
                # What is not told is lost to this connection, as behind a stale cache: only a new one brings it.
                self.api.muted = muted
                self.api.cut()
            case ("cut",):
                self.api.cut()
            case ("cut within",):
                self.api.cut(b'{"type":"MODIFIED","object":{"metadata"')
            case ("end",):
                self.api.end()
            case ("expire",):
                self.api.expire()
            case ("refresh",):
                await asyncio.wait_for(reflector.refreshed(), 60)
            case ("bookmark",):
                self.api.bookmark()
            case ("garbage",):
                self.api.raw(b"not json\n")
            case ("pause",):
                await asyncio.sleep(0.003)

    def truth(self) -> dict[str, Json]:
        return {obj["metadata"]["uid"]: obj["data"] for obj in self.api.collection(MAPS)}

    def folded(self) -> dict[str, Json]:
        """The state that a listener derives; every change must fit the state before it."""
        known: dict[str, Json] = {}
        for change in self.changes:
            match change.type:
                case ChangeType.ADDED:
                    assert change.uid not in known
                    assert change.old is None
                case ChangeType.MODIFIED | ChangeType.DELETED:
                    assert known.pop(change.uid) == change.old
            if change.new is not None:
                known[change.uid] = change.new
        return known


async def follow(history: list[tuple[Any, ...]], streaming: bool, page_size: int) -> None:
    async with FakeApi() as api, session_to(api.host) as session:
        api.page_size = page_size
        run = Run(api)
        reflector: Reflector[Json] = Reflector(
            session,
            CONFIGMAPS,
            None,
            run.changes.append,
            lambda obj: dict(obj["data"]),
            settings=WatchSettings(streaming=streaming),
            rng=random.Random(0),
            sleep=promptly(0.001),
        )
        task = asyncio.create_task(reflector.run())
        await asyncio.wait_for(reflector.synced.wait(), 60)
        for action in history:
            await run.play(action, reflector)
        api.muted = False
        api.cut()
        await eventually(lambda: {entry.uid: entry.value for entry in reflector.cache.entries()} == run.truth())
        assert run.folded() == run.truth()
        assert not task.done()
        task.cancel()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=actions, streaming=st.booleans(), page_size=st.integers(1, 3))
def test_any_history_ends_with_the_servers_state(
    history: list[tuple[Any, ...]], streaming: bool, page_size: int
) -> None:
    asyncio.run(follow(history, streaming, page_size))
