"""The write queue against a server that refuses, throttles and loses answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import Json, ManualClock, eventually
from tests.unit.kube.writing import FAST, MAPS, patch, running, sent
from videofleet_kube import (
    CONFIGMAPS,
    ApiSession,
    Delete,
    Invalid,
    ObjectRef,
    Outcome,
    Patch,
    Priority,
    Result,
    ThrottleSettings,
    TooManyRequests,
    Unavailable,
    WriteQueue,
)


async def test_a_patch_carries_its_preconditions_and_returns_the_object(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1", "old": "x"})
    async with running(session) as queue:
        heard: list[Outcome] = []
        outcome = await queue.submit(patch(obj, {"k": "2"}), on_done=heard.append)
    assert outcome.result is Result.APPLIED
    assert outcome.object == api.objects[MAPS, "a", "one"]
    assert sent(api) == [
        {
            "data": {"k": "2", "old": None},
            "metadata": {"uid": obj["metadata"]["uid"], "resourceVersion": obj["metadata"]["resourceVersion"]},
        }
    ]
    assert heard == [outcome]


async def test_what_changes_nothing_is_not_sent(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1"})
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "1"}))
    assert outcome.result is Result.UNCHANGED
    assert api.requests == []
    assert queue.counters.results == {Result.UNCHANGED: 1}


async def test_a_newer_version_is_a_conflict(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1"})
    api.put(MAPS, "a", "one", data={"k": "theirs"})
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "mine"}))
    assert outcome.result is Result.CONFLICT
    assert not outcome.retryable
    assert api.objects[MAPS, "a", "one"]["data"] == {"k": "theirs"}


@pytest.mark.parametrize("check", [True, False], ids=["version checked", "incarnation checked"])
async def test_another_incarnation_is_a_conflict(api: FakeApi, session: ApiSession, check: bool) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1"})
    api.remove(MAPS, "a", "one")
    api.put(MAPS, "a", "one", data={"k": "new"})
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "mine"}, check=check))
    assert outcome.result is Result.CONFLICT
    assert api.objects[MAPS, "a", "one"]["data"] == {"k": "new"}


async def test_without_the_version_checked_later_edits_do_not_matter(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1"})
    api.put(MAPS, "a", "one", labels={"edited": "yes"})
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "2"}, check=False))
    assert outcome.result is Result.APPLIED
    assert sent(api) == [
        [
            {"op": "test", "path": "/metadata/uid", "value": obj["metadata"]["uid"]},
            {"op": "add", "path": "/data/k", "value": "2"},
        ]
    ]


async def test_a_whole_new_part_always_checks_the_version(api: FakeApi, session: ApiSession) -> None:
    """Adding all of the status to an object thought to have none would wipe out one that it has by now."""
    obj = api.put(MAPS, "a", "one")
    api.put(MAPS, "a", "one", status={"phase": "known to others"})
    write = Patch(ObjectRef.of(CONFIGMAPS, obj), {}, {"status": {"rate": 1}}, check_version=False)
    async with running(session) as queue:
        assert (await queue.submit(write)).result is Result.CONFLICT
    assert api.objects[MAPS, "a", "one"]["status"] == {"phase": "known to others"}


async def test_an_object_that_is_no_more_is_gone(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    api.remove(MAPS, "a", "one")
    async with running(session) as queue:
        assert (await queue.submit(patch(obj, {"k": "1"}))).result is Result.GONE
        assert (await queue.submit(Delete(ObjectRef.of(CONFIGMAPS, obj)))).result is Result.GONE


async def test_a_refused_value_is_a_failure_for_good(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    api.fail("PATCH", lambda: refusal(422, "Invalid", "data.k: too long", causes=[{"field": "data.k"}]))
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "1"}))
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, Invalid)
    assert not outcome.retryable


async def test_a_broken_server_is_a_failure_to_be_planned_again(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    api.fail("PATCH", lambda: refusal(503, "ServiceUnavailable"))
    async with running(session) as queue:
        outcome = await queue.submit(patch(obj, {"k": "1"}))
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, Unavailable)
    assert outcome.retryable


async def test_too_many_requests_waits_slows_and_sends_again(api: FakeApi, session: ApiSession) -> None:
    clock = ManualClock()
    obj = api.put(MAPS, "a", "one", data={})
    api.fail("PATCH", lambda: refusal(429, "TooManyRequests", headers={"Retry-After": "3"}), times=2)
    settings = ThrottleSettings(rate=40.0)
    async with running(session, throttle=settings, clock=clock, sleep=clock.sleep) as queue:
        outcome = await queue.submit(patch(obj, {"k": "1"}))
        assert outcome.result is Result.APPLIED
        assert queue.counters.rejected == 2
        assert queue.throttle.rate == pytest.approx(11.0)
    assert sum(clock.slept) == pytest.approx(6.0)


async def test_endless_rejection_comes_back_to_the_planner(api: FakeApi, session: ApiSession) -> None:
    clock = ManualClock()
    obj = api.put(MAPS, "a", "one", data={})
    api.fail("PATCH", lambda: refusal(429, "TooManyRequests"), times=100)
    async with running(session, clock=clock, sleep=clock.sleep) as queue:
        outcome = await queue.submit(patch(obj, {"k": "1"}))
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, TooManyRequests)
    assert outcome.retryable
    assert len(sent(api)) == 6


async def test_a_closed_gate_lets_nothing_out(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    open_ = [False]
    async with running(session, gate=lambda: open_[0]) as queue:
        assert (await queue.submit(patch(obj, {"k": "1"}))).result is Result.FENCED
        assert api.requests == []
        open_[0] = True
        assert (await queue.submit(patch(obj, {"k": "1"}))).result is Result.APPLIED


async def test_the_gate_is_asked_when_sending_not_when_queueing(api: FakeApi, session: ApiSession) -> None:
    clock = ManualClock()
    leading = [True]

    async def sleep(seconds: float) -> None:
        await eventually(lambda: len(sent(api)) == 1)
        leading[0] = False
        await clock.sleep(seconds)

    objects = [api.put(MAPS, "a", f"m{index}", data={}) for index in range(2)]
    settings = ThrottleSettings(rate=1.0, burst=1.0)
    async with running(session, gate=lambda: leading[0], throttle=settings, clock=clock, sleep=sleep) as queue:
        outcomes = await asyncio.gather(*[queue.submit(patch(obj, {"k": "1"})) for obj in objects])
    assert [outcome.result for outcome in outcomes] == [Result.APPLIED, Result.FENCED]


async def test_waiting_writes_to_one_object_become_one(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    queue = WriteQueue(session, lambda: True, throttle=FAST)
    first, second, third = [queue.submit(patch(obj, {"k": value})) for value in "123"]
    task = asyncio.create_task(queue.run())
    assert (await third).result is Result.APPLIED
    assert (await first).result is (await second).result is Result.SUPERSEDED
    assert [body["data"] for body in sent(api)] == [{"k": "3"}]
    task.cancel()


async def test_a_planner_that_thinks_better_of_it_sends_nothing(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1"})
    queue = WriteQueue(session, lambda: True, throttle=FAST)
    first = queue.submit(patch(obj, {"k": "2"}))
    second = queue.submit(patch(obj, {"k": "1"}))
    task = asyncio.create_task(queue.run())
    await asyncio.wait_for(queue.idle(), 60)
    assert ((await first).result, (await second).result) == (Result.SUPERSEDED, Result.UNCHANGED)
    assert api.requests == []
    task.cancel()


class Held:
    """Makes the next PATCH wait on the server until released."""

    def __init__(self, api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch) -> None:
        self.release = asyncio.Event()
        original = session.patch

        async def patched(*args: Any, **kwargs: Any) -> Json:
            result = await original(*args, **kwargs)
            await self.release.wait()
            return result

        monkeypatch.setattr(session, "patch", patched)


async def test_one_write_an_object_is_in_flight_and_the_next_builds_on_its_result(
    api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "1", "same": "s"})
    held = Held(api, session, monkeypatch)
    async with running(session) as queue:
        first = queue.submit(patch(obj, {"k": "2", "same": "s"}, check=False))
        await eventually(lambda: len(sent(api)) == 1)
        # Back to what the planner believes is there: no difference to its own view, but one to the server's.
        second = queue.submit(patch(obj, {"k": "1", "same": "s"}, check=False))
        await asyncio.sleep(0.02)
        assert (queue.in_flight, queue.depth, len(sent(api))) == (1, 1, 1)
        held.release.set()
        assert (await first).result is (await second).result is Result.APPLIED
    assert api.objects[MAPS, "a", "one"]["data"] == {"k": "1", "same": "s"}


async def test_a_version_that_our_own_write_has_outdated_is_a_conflict_without_asking(
    api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    held = Held(api, session, monkeypatch)
    async with running(session) as queue:
        first = queue.submit(patch(obj, {"k": "2"}))
        await eventually(lambda: len(sent(api)) == 1)
        second = queue.submit(patch(obj, {"k": "3"}))
        held.release.set()
        assert (await first).result is Result.APPLIED
        outcome = await second
        assert outcome.result is Result.CONFLICT
        assert outcome.object == (await first).object
        await asyncio.wait_for(queue.idle(), 60)
    assert len(sent(api)) == 1


async def test_coalesced_writes_are_as_careful_as_any_of_them(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={"k": "0"})
    api.put(MAPS, "a", "one", data={"k": "theirs"})
    queue = WriteQueue(session, lambda: True, throttle=FAST)
    queue.submit(patch(obj, {"k": "phase"}, check=True))
    last = queue.submit(patch(obj, {"k": "phase", "rate": "1"}, check=False))
    task = asyncio.create_task(queue.run())
    assert (await last).result is Result.CONFLICT
    task.cancel()


async def test_priorities_then_order(api: FakeApi, session: ApiSession) -> None:
    queue = WriteQueue(session, lambda: True, concurrency=1, throttle=FAST)
    wanted = [
        ("late", Priority.STATISTICS),
        ("second", Priority.PHASE),
        ("third", Priority.PHASE),
        ("first", Priority.URGENT),
        ("raised", Priority.STATISTICS),
    ]
    objects = {name: api.put(MAPS, "a", name, data={}) for name, _ in wanted}
    futures = [queue.submit(patch(objects[name], {"k": "1"}), priority) for name, priority in wanted]
    futures.append(queue.submit(patch(objects["raised"], {"k": "2"}), Priority.URGENT))
    task = asyncio.create_task(queue.run())
    await asyncio.gather(*futures)
    order = [path.rsplit("/", 1)[1] for method, path, _ in api.requests if method == "PATCH"]
    assert order == ["first", "raised", "second", "third", "late"]
    task.cancel()


async def test_a_replaced_write_keeps_its_turn(api: FakeApi, session: ApiSession) -> None:
    """An object that is planned anew all the time must still get its write."""
    queue = WriteQueue(session, lambda: True, concurrency=1, throttle=FAST)
    objects = [api.put(MAPS, "a", name, data={}) for name in ("first", "second")]
    futures = [queue.submit(patch(obj, {"k": "1"})) for obj in objects]
    futures.append(queue.submit(patch(objects[0], {"k": "2"})))
    task = asyncio.create_task(queue.run())
    await asyncio.gather(*futures)
    assert [path.rsplit("/", 1)[1] for method, path, _ in api.requests if method == "PATCH"] == ["first", "second"]
    task.cancel()


async def test_no_more_than_allowed_are_in_flight(
    api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(api, session, monkeypatch)
    async with running(session, concurrency=3) as queue:
        objects = [api.put(MAPS, "a", f"m{index}", data={}) for index in range(10)]
        futures = [queue.submit(patch(obj, {"k": "1"})) for obj in objects]
        await eventually(lambda: len(sent(api)) == 3)
        await asyncio.sleep(0.02)
        assert (queue.in_flight, queue.depth, len(sent(api))) == (3, 7, 3)
        held.release.set()
        outcomes = await asyncio.gather(*futures)
    assert {outcome.result for outcome in outcomes} == {Result.APPLIED}


async def test_what_a_stop_leaves_unsent_is_dropped(
    api: FakeApi, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [api.put(MAPS, "a", f"m{index}", data={}) for index in range(2)]
    Held(api, session, monkeypatch)
    async with running(session, concurrency=1) as queue:
        futures = [queue.submit(patch(obj, {"k": "1"})) for obj in objects]
        await eventually(lambda: len(sent(api)) == 1)
    assert [(await future).result for future in futures] == [Result.DROPPED, Result.DROPPED]
    assert (queue.depth, queue.in_flight) == (0, 0)


async def test_an_answer_that_never_comes_ends_in_time(api: FakeApi, session: ApiSession) -> None:
    obj = api.put(MAPS, "a", "one", data={})
    api.flowing.clear()
    async with running(session, request_timeout=0.1) as queue:
        outcome = await asyncio.wait_for(queue.submit(patch(obj, {"k": "1"})), 60)
    assert outcome.result is Result.FAILED
    assert outcome.retryable
    assert "no answer within 0.1 s" in str(outcome.error)
