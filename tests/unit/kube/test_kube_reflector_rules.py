"""The reflector's patience, its promises to a new leader, its scope, and its care with single objects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.following import BOTH, MAPS, PAGED, STREAMED, following
from tests.unit.kube.helpers import Json, eventually, promptly, session_to
from videofleet_kube import CONFIGMAPS, ApiSession, Reflector, WatchSettings


async def pauses_until_listed(api: FakeApi) -> list[float]:
    """Seconds for which a reflector waits before the first list that succeeds."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with session_to(api.host) as session:
        reflector: Reflector[str] = Reflector(
            session, CONFIGMAPS, None, lambda _: None, lambda obj: "kept", settings=PAGED, sleep=sleep
        )
        task = asyncio.create_task(reflector.run())
        await asyncio.wait_for(reflector.synced.wait(), 60)
        task.cancel()
    return slept


async def test_too_many_requests_waits_as_long_as_asked(api: FakeApi) -> None:
    api.put(MAPS, "a", "one")
    api.fail("GET", lambda: refusal(429, "TooManyRequests", headers={"Retry-After": "7"}))
    assert await pauses_until_listed(api) == [7.0]


async def test_backs_off_with_jitter_up_to_five_seconds(api: FakeApi) -> None:
    api.fail("GET", lambda: refusal(503, "ServiceUnavailable"), times=40)
    slept = await pauses_until_listed(api)
    assert len(slept) == 40
    assert all(0.1 <= pause <= 5.0 for pause in slept)
    assert all(pause <= 0.1 * 2 ** (index + 1) for index, pause in enumerate(slept[:5]))
    assert max(slept) > 2.5
    assert len(set(slept)) > 30


async def test_forbidden_is_waited_out(api: FakeApi, session: ApiSession) -> None:
    api.fail("GET", lambda: refusal(403, "Forbidden"), times=3)
    api.put(MAPS, "a", "one")
    async with following(session) as followed:
        assert list(followed.names) == ["one"]


@BOTH
async def test_refreshed_waits_for_a_list_begun_after_the_call(
    api: FakeApi, session: ApiSession, settings: WatchSettings
) -> None:
    async with following(session, settings) as followed:
        await eventually(lambda: api.streams)
        api.muted = True
        api.put(MAPS, "a", "unheard")
        api.muted = False
        await asyncio.wait_for(followed.reflector.refreshed(), 60)
        assert list(followed.names) == ["unheard"]
        assert followed.reflector.counters.lists == 2
        assert followed.reflector.counters.silences == 0
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "heard")
        await eventually(lambda: "heard" in followed.names)


@BOTH
async def test_what_is_known_is_not_read_again(api: FakeApi, session: ApiSession, settings: WatchSettings) -> None:
    for name in ("same", "changed"):
        api.put(MAPS, "a", name, data={"k": "1"})
    async with following(session, settings) as followed:
        await eventually(lambda: api.streams)
        before = followed.names
        api.muted = True
        api.put(MAPS, "a", "changed", data={"k": "2"})
        api.muted = False
        await asyncio.wait_for(followed.reflector.refreshed(), 60)
        assert followed.names == {"same": {"k": "1"}, "changed": {"k": "2"}}
        assert followed.names["same"] is before["same"]


async def test_refreshed_is_not_satisfied_by_a_list_under_way(api: FakeApi, session: ApiSession) -> None:
    """The list that was on its way before the call may miss what another leader wrote last."""
    api.page_size = 1
    api.put(MAPS, "a", "one")
    api.put(MAPS, "a", "two")
    release = asyncio.Event()
    async with following(session, PAGED) as followed:
        await eventually(lambda: api.streams)
        lists = followed.reflector.counters.lists
        original = session.list

        async def slow(*args: Any, **kwargs: Any) -> Json:
            page = await original(*args, **kwargs)
            await release.wait()
            return page

        session.list = slow  # type: ignore[method-assign]  # the pause must fall between two real pages
        first = asyncio.ensure_future(followed.reflector.refreshed())
        await eventually(lambda: "limit" in api.requests[-1][2])
        second = asyncio.ensure_future(followed.reflector.refreshed())
        release.set()
        await asyncio.wait_for(first, 60)
        assert not second.done()
        await asyncio.wait_for(second, 60)
        assert followed.reflector.counters.lists == lists + 2


async def test_follows_only_the_namespaces_asked_for(api: FakeApi, session: ApiSession) -> None:
    for namespace in ("a", "b", "c"):
        api.put(MAPS, namespace, f"in-{namespace}")
    async with following(session, STREAMED, ["a", "b"]) as followed:
        assert sorted(followed.names) == ["in-a", "in-b"]
        await eventually(lambda: len(api.streams) == 2)
        api.muted = True
        api.remove(MAPS, "a", "in-a")
        api.muted = False
        api.expire()
        await eventually(lambda: list(followed.names) == ["in-b"])
        followed.reflector.feed(api.put(MAPS, "c", "elsewhere"))
        assert list(followed.names) == ["in-b"]
        await followed.reflector.refreshed()


async def test_one_unreadable_object_hides_no_other(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api.put(MAPS, "a", "bad", data={"k": "bad"})
    api.put(MAPS, "a", "good", data={"k": "good"})

    def project(obj: Json) -> str:
        if obj["data"]["k"] == "bad":
            raise ValueError("unreadable")
        return str(obj["data"]["k"])

    async with session_to(api.host) as session:
        reflector: Reflector[str] = Reflector(session, CONFIGMAPS, None, lambda _: None, project, sleep=promptly())
        task = asyncio.create_task(reflector.run())
        await asyncio.wait_for(reflector.synced.wait(), 60)
        assert reflector.cache.values() == ["good"]
        assert reflector.counters.projection_failures == 1
        assert "configmaps a/bad cannot be read" in caplog.text
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "bad", data={"k": "mended"})
        await eventually(lambda: sorted(reflector.cache.values()) == ["good", "mended"])
        task.cancel()


def test_namespaces_must_make_sense() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        Reflector(session_to("http://localhost"), CONFIGMAPS, [], lambda _: None, lambda obj: obj)
