"""The reflector against a server that does everything wrong that a real one can."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.following import BOTH, MAPS, PAGED, STREAMED, following
from tests.unit.kube.helpers import eventually
from videofleet_kube import ApiSession, WatchSettings


@BOTH
async def test_lists_then_follows(api: FakeApi, session: ApiSession, settings: WatchSettings) -> None:
    api.put(MAPS, "a", "one", data={"k": "1"})
    began = time.monotonic()
    async with following(session, settings) as followed:
        assert followed.names == {"one": {"k": "1"}}
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "two", data={"k": "2"})
        api.put(MAPS, "a", "one", data={"k": "3"})
        api.remove(MAPS, "a", "two")
        await eventually(lambda: len(followed.changes) == 4)
        assert followed.told() == [("ADDED", "one"), ("ADDED", "two"), ("MODIFIED", "one"), ("DELETED", "two")]
        assert followed.names == {"one": {"k": "3"}}
        assert followed.reflector.cache.by_name("a", "one") == {"k": "3"}
        assert followed.reflector.counters.lists == 1
        age = followed.reflector.age()
        assert age is not None
        assert age <= time.monotonic() - began


async def test_reads_all_pages(api: FakeApi, session: ApiSession) -> None:
    api.page_size = 2
    for index in range(5):
        api.put(MAPS, "a", f"m{index}")
    async with following(session, PAGED) as followed:
        assert sorted(followed.names) == ["m0", "m1", "m2", "m3", "m4"]
    assert sum("limit" in query for _, _, query in api.requests) == 3


async def test_a_continue_token_that_expires_starts_the_list_over(api: FakeApi, session: ApiSession) -> None:
    api.page_size = 1
    api.put(MAPS, "a", "one")
    api.put(MAPS, "a", "two")
    api.faults.append(lambda request: refusal(410, "Expired", "token too old") if "continue" in request.query else None)
    async with following(session, PAGED) as followed:
        assert sorted(followed.names) == ["one", "two"]
        assert followed.reflector.counters.expirations == 1


async def test_falls_back_to_pages_without_streaming_lists(api: FakeApi, session: ApiSession) -> None:
    api.streaming = False
    api.put(MAPS, "a", "one")
    async with following(session, STREAMED) as followed:
        assert list(followed.names) == ["one"]
        await eventually(lambda: api.streams)
    assert "sendInitialEvents" in api.requests[0][2]
    assert "limit" in api.requests[1][2]


@BOTH
async def test_gone_in_the_middle_emits_what_was_deleted_meanwhile(
    api: FakeApi, session: ApiSession, settings: WatchSettings
) -> None:
    kept = api.put(MAPS, "a", "kept")
    api.put(MAPS, "a", "lost")
    async with following(session, settings) as followed:
        await eventually(lambda: api.streams)
        api.muted = True
        api.remove(MAPS, "a", "lost")
        api.put(MAPS, "a", "new")
        api.muted = False
        api.expire()
        await eventually(lambda: "new" in followed.names)
        assert sorted(followed.names) == ["kept", "new"]
        assert followed.told()[2:] == [("DELETED", "lost"), ("ADDED", "new")]
        assert followed.reflector.cache.synthesized == 1
        assert followed.reflector.counters.lists == 2
        assert followed.reflector.cache.get(kept["metadata"]["uid"]) == {}


@BOTH
async def test_a_cut_within_a_line_resumes_without_loss_or_repeat(
    api: FakeApi, session: ApiSession, settings: WatchSettings
) -> None:
    async with following(session, settings) as followed:
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "before")
        await eventually(lambda: "before" in followed.names)
        api.muted = True
        api.put(MAPS, "a", "within", data={"k": "v"})
        api.muted = False
        api.cut(b'{"type":"ADDED","object":{"metadata":{"name":"wit')
        await eventually(lambda: "within" in followed.names)
        assert followed.told() == [("ADDED", "before"), ("ADDED", "within")]
        assert followed.reflector.counters.lists == 1
        assert followed.reflector.counters.reconnects == 1


async def test_garbage_on_the_wire_is_a_broken_connection(api: FakeApi, session: ApiSession) -> None:
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.raw(b'{"type":"ADDED"}\n')
        await eventually(lambda: api.watch_count() == 2 and api.streams)
        api.put(MAPS, "a", "after")
        await eventually(lambda: "after" in followed.names)
        assert followed.reflector.counters.reconnects == 1


async def test_silence_tears_the_connection_and_resumes(api: FakeApi, session: ApiSession) -> None:
    async with following(session, WatchSettings(streaming=False, silence=0.15)) as followed:
        await eventually(lambda: api.streams)
        api.muted = True
        api.put(MAPS, "a", "unheard")
        await eventually(lambda: "unheard" in followed.names)
        assert followed.reflector.counters.silences >= 1
        assert followed.reflector.counters.lists == 1


async def test_bookmarks_keep_the_connection_and_move_the_version(
    api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, ahead = asyncio.get_running_loop(), 0.0
    real = loop.time
    async with following(session, WatchSettings(streaming=False, silence=200.0)) as followed:
        await eventually(lambda: api.streams)
        api.version += 50
        with monkeypatch.context() as patched:
            patched.setattr(loop, "time", lambda: real() + ahead)
            for heard in range(1, 5):
                api.bookmark()
                await eventually(lambda heard=heard: followed.reflector.counters.watch_events == heard)  # type: ignore[misc]  # bound at definition
                ahead += 100.0
            assert followed.reflector.counters.silences == 0
            assert api.watch_count() == 1
        api.end()
        await eventually(lambda: api.watch_count() == 2)
        assert api.requests[-1][2]["resourceVersion"] == str(api.version)


async def test_an_orderly_end_resumes_at_once_and_is_no_failure(api: FakeApi, session: ApiSession) -> None:
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "one")
        api.end()
        await eventually(lambda: api.watch_count() == 2 and api.streams)
        assert followed.reflector.counters.reconnects == 0
        assert followed.told() == [("ADDED", "one")]


async def test_repeated_and_older_events_change_nothing(api: FakeApi, session: ApiSession) -> None:
    old = api.put(MAPS, "a", "one", data={"k": "old"})
    new = api.put(MAPS, "a", "one", data={"k": "new"})
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.say("MODIFIED", new)
        api.say("MODIFIED", old)
        api.say("DELETED", old)
        api.put(MAPS, "a", "end")
        await eventually(lambda: "end" in followed.names)
        assert followed.told() == [("ADDED", "one"), ("ADDED", "end")]
        assert followed.names["one"] == {"k": "new"}
        assert followed.reflector.cache.stale == 3


async def test_the_same_name_with_another_uid_is_a_deletion_and_an_addition(api: FakeApi, session: ApiSession) -> None:
    first = api.put(MAPS, "a", "one", data={"k": "1"})
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.muted = True
        api.remove(MAPS, "a", "one")
        api.muted = False
        second = api.put(MAPS, "a", "one", data={"k": "2"})
        await eventually(lambda: followed.names.get("one") == {"k": "2"})
        assert followed.told() == [("ADDED", "one"), ("DELETED", "one"), ("ADDED", "one")]
        assert followed.changes[1].uid == first["metadata"]["uid"]
        assert followed.changes[2].uid == second["metadata"]["uid"]
        api.say("MODIFIED", first)
        api.put(MAPS, "a", "end")
        await eventually(lambda: "end" in followed.names)
        assert followed.names["one"] == {"k": "2"}


async def test_a_fed_write_is_seen_at_once_and_its_event_is_no_news(api: FakeApi, session: ApiSession) -> None:
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.muted = True
        written = api.put(MAPS, "a", "mine")
        followed.reflector.feed(written)
        assert followed.told() == [("ADDED", "mine")]
        api.muted = False
        api.say("ADDED", written)
        api.put(MAPS, "a", "end")
        await eventually(lambda: "end" in followed.names)
        assert followed.told() == [("ADDED", "mine"), ("ADDED", "end")]


async def test_a_late_answer_does_not_revive_what_was_deleted(api: FakeApi, session: ApiSession) -> None:
    written = api.put(MAPS, "a", "brief")
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        api.remove(MAPS, "a", "brief")
        await eventually(lambda: not followed.names)
        followed.reflector.feed(written)
        assert followed.names == {}


async def test_a_write_newer_than_the_list_survives_it(api: FakeApi, session: ApiSession) -> None:
    async with following(session) as followed:
        await eventually(lambda: api.streams)
        future = {"metadata": {"name": "ahead", "namespace": "a", "uid": "u", "resourceVersion": str(api.version + 5)}}
        followed.reflector.feed(future)
        await followed.reflector.refreshed()
        assert list(followed.names) == ["ahead"]


@BOTH
async def test_a_server_that_lags_behind_is_asked_again(
    api: FakeApi, session: ApiSession, settings: WatchSettings
) -> None:
    """Its older list would undo what was decided since."""
    api.version = 1000
    api.put(MAPS, "a", "one", data={"k": "later"})
    async with following(session, settings) as followed:
        await eventually(lambda: api.streams)
        api.restore(500)
        api.objects[MAPS, "a", "one"]["metadata"]["resourceVersion"] = "400"
        api.objects[MAPS, "a", "one"]["data"] = {"k": "earlier"}
        listed = asyncio.create_task(followed.reflector.refreshed())
        await eventually(lambda: followed.reflector.counters.reconnects >= 3)
        assert followed.names == {"one": {"k": "later"}}
        api.version = 1100
        api.put(MAPS, "a", "one", data={"k": "latest"})
        await asyncio.wait_for(listed, 60)
        assert followed.names == {"one": {"k": "latest"}}


async def test_a_server_restored_from_a_backup_is_believed(api: FakeApi, session: ApiSession) -> None:
    """It accepts a watch from a version it has not reached, and says nothing."""
    api.version = 1000
    api.put(MAPS, "a", "one", data={"k": "later"})
    api.put(MAPS, "a", "lost")
    async with following(session, WatchSettings(streaming=False, silence=0.1, rewind=0.3)) as followed:
        await eventually(lambda: api.streams)
        api.restore(500)
        del api.objects[MAPS, "a", "lost"]
        api.objects[MAPS, "a", "one"]["metadata"]["resourceVersion"] = "400"
        api.objects[MAPS, "a", "one"]["data"] = {"k": "earlier"}
        api.cut()
        await eventually(lambda: followed.names == {"one": {"k": "earlier"}})
        await eventually(lambda: api.streams)
        api.put(MAPS, "a", "one", data={"k": "after"})
        await eventually(lambda: followed.names == {"one": {"k": "after"}})
