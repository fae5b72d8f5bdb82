"""Events: one object for what repeats, never more than allowed, never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import Json, eventually
from videofleet_kube import (
    CONFIGMAPS,
    NODES,
    ApiSession,
    EventKind,
    EventRecorder,
    EventSettings,
    ObjectRef,
)

EVENTS = "api/v1/events"
TARGET = ObjectRef(CONFIGMAPS, "a", "one", "uid-1", "7")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def recording(session: ApiSession, **options: Any) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(session, "videofleet-operator", "pod-1", **options)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        assert not task.done(), "the recorder must never end by itself"
        task.cancel()


def stored(api: FakeApi) -> list[Json]:
    return api.collection(EVENTS)


async def test_an_event_says_what_about_whom(api: FakeApi, session: ApiSession) -> None:
    async with recording(session) as recorder:
        recorder.post(TARGET, "ConfigMap", "WorkersFull", "2 workers full", EventKind.WARNING)
        await eventually(lambda: recorder.sent == 1)
    event = stored(api)[0]
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "a",
        "name": "one",
        "uid": "uid-1",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "WorkersFull", "2 workers full")
    assert (event["count"], event["source"]["component"]) == (1, "videofleet-operator")
    assert event["metadata"]["namespace"] == "a"


async def test_repeats_are_one_event_with_a_count_and_the_newest_message(api: FakeApi, session: ApiSession) -> None:
    clock = Clock()
    async with recording(session, clock=clock, settings=EventSettings(spacing=60.0)) as recorder:
        recorder.post(TARGET, "ConfigMap", "WorkersFull", "1 worker full")
        await eventually(lambda: recorder.sent == 1)
        for count in range(2, 7):
            recorder.post(TARGET, "ConfigMap", "WorkersFull", f"{count} workers full")
        await asyncio.sleep(0.02)
        assert recorder.sent == 1
        clock.now = 61.0
        recorder.post(TARGET, "ConfigMap", "WorkersFull", "7 workers full")
        await eventually(lambda: recorder.sent == 2)
    assert [(event["count"], event["message"]) for event in stored(api)] == [(7, "7 workers full")]


async def test_a_repeat_is_delivered_when_its_time_comes_without_another_post(
    api: FakeApi, session: ApiSession
) -> None:
    async with recording(session, settings=EventSettings(spacing=0.1)) as recorder:
        recorder.post(TARGET, "ConfigMap", "R", "first")
        await eventually(lambda: recorder.sent == 1)
        recorder.post(TARGET, "ConfigMap", "R", "second")
        await eventually(lambda: recorder.sent == 2)
    assert [event["message"] for event in stored(api)] == ["second"]


async def test_other_reasons_objects_and_windows_are_other_events(api: FakeApi, session: ApiSession) -> None:
    clock = Clock()
    other = ObjectRef(NODES, None, "node-1", "uid-2", "8")
    async with recording(session, clock=clock, settings=EventSettings(window=600.0)) as recorder:
        recorder.post(TARGET, "ConfigMap", "A", "m")
        recorder.post(TARGET, "ConfigMap", "B", "m")
        recorder.post(other, "Node", "A", "m")
        await eventually(lambda: recorder.sent == 3)
        clock.now = 601.0
        recorder.post(TARGET, "ConfigMap", "A", "m")
        await eventually(lambda: recorder.sent == 4)
    assert sorted((event["metadata"]["namespace"], event["reason"]) for event in stored(api)) == [
        ("a", "A"),
        ("a", "A"),
        ("a", "B"),
        ("default", "A"),
    ]


async def test_an_expired_event_is_posted_anew(api: FakeApi, session: ApiSession) -> None:
    async with recording(session, settings=EventSettings(spacing=0.0)) as recorder:
        recorder.post(TARGET, "ConfigMap", "R", "first")
        await eventually(lambda: recorder.sent == 1)
        api.objects.clear()
        recorder.post(TARGET, "ConfigMap", "R", "second")
        await eventually(lambda: recorder.sent == 2)
    assert [(event["count"], event["message"]) for event in stored(api)] == [(2, "second")]


async def test_the_rate_is_limited(api: FakeApi, session: ApiSession) -> None:
    slept: list[float] = []
    clock = Clock()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        await asyncio.sleep(0)

    settings = EventSettings(rate=2.0, burst=3.0)
    async with recording(session, clock=clock, sleep=sleep, settings=settings) as recorder:
        for index in range(7):
            recorder.post(ObjectRef(CONFIGMAPS, "a", f"m{index}", f"u{index}"), "ConfigMap", "R", "m")
        await eventually(lambda: recorder.sent == 7)
    assert sum(slept) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "answer",
    [lambda: refusal(403, "Forbidden"), lambda: refusal(500, "InternalError"), lambda: refusal(422, "Invalid")],
    ids=["forbidden", "broken", "invalid"],
)
async def test_a_refusal_is_logged_and_forgotten(
    api: FakeApi, session: ApiSession, caplog: pytest.LogCaptureFixture, answer: Callable[[], Any]
) -> None:
    api.fail("POST", answer)
    async with recording(session) as recorder:
        recorder.post(TARGET, "ConfigMap", "Lost", "m")
        await eventually(lambda: recorder.failed == 1)
        recorder.post(TARGET, "ConfigMap", "Next", "m")
        await eventually(lambda: recorder.sent == 1)
    assert "event Lost about one not delivered" in caplog.text


async def test_one_who_does_not_lead_is_silent(api: FakeApi, session: ApiSession) -> None:
    async with recording(session, gate=lambda: False) as recorder:
        recorder.post(TARGET, "ConfigMap", "R", "m")
        await eventually(lambda: recorder.waiting == 0)
    assert api.requests == []


async def test_a_long_message_is_cut(api: FakeApi, session: ApiSession) -> None:
    async with recording(session) as recorder:
        recorder.post(TARGET, "ConfigMap", "R", "x" * 5000)
        await eventually(lambda: recorder.sent == 1)
    assert len(stored(api)[0]["message"]) == 1024


async def test_a_topic_is_one_event_whatever_its_reason_is(api: FakeApi, session: ApiSession) -> None:
    clock = Clock()
    async with recording(session, clock=clock) as recorder:
        recorder.post(TARGET, "ConfigMap", "WorkersFull", "2 workers full", EventKind.WARNING, topic="wait")
        await eventually(lambda: recorder.sent == 1)
        clock.now = 3600.0
        recorder.post(TARGET, "ConfigMap", "LicenceExhausted", "50 of 50", EventKind.WARNING, topic="wait")
        await eventually(lambda: recorder.sent == 2)
    (event,) = stored(api)
    assert (event["reason"], event["message"], event["count"]) == ("LicenceExhausted", "50 of 50", 2)


async def test_the_next_process_goes_on_with_the_same_event(api: FakeApi, session: ApiSession) -> None:
    for reason in ("WorkersFull", "NoMatchingPool"):
        async with recording(session) as recorder:
            recorder.post(TARGET, "ConfigMap", reason, reason, topic="wait")
            await eventually(lambda recorder=recorder: recorder.sent == 1)
    (event,) = stored(api)
    assert event["reason"] == "NoMatchingPool"


async def test_news_that_waited_too_long_are_not_told(api: FakeApi, session: ApiSession) -> None:
    clock = Clock()
    recorder = EventRecorder(session, "videofleet-operator", "pod-1", clock=clock)
    recorder.post(TARGET, "ConfigMap", "Assigned", "long ago")
    clock.now = EventSettings().patience + 1
    recorder.post(TARGET, "ConfigMap", "Running", "just now")
    task = asyncio.create_task(recorder.run())
    await eventually(lambda: recorder.sent == 1)
    task.cancel()
    assert [event["reason"] for event in stored(api)] == ["Running"]
    assert (recorder.dropped, recorder.waiting, recorder.remembered) == (1, 0, 1)
