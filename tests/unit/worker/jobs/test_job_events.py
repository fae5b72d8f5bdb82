"""The event stream."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import aclosing

from videofleet_api.protocol import EVENT_LINE, Heartbeat, Inventory, JobEvent, JobProgress, JobReport, JobState
from videofleet_worker.jobs.assignments import Assignments
from videofleet_worker.jobs.events import EventHub

Line = Inventory | JobEvent | Heartbeat


class _Worker:
    """A hub over reports that the test sets."""

    def __init__(self, kept_events: int = 100, heartbeat_seconds: float = 60) -> None:
        self.jobs: dict[str, JobReport] = {}
        self.hub = EventHub(
            lambda: Assignments("me", term=3, number=7),
            lambda: list(self.jobs.values()),
            wall_clock=lambda: 1000.0,
            kept_events=kept_events,
            heartbeat_seconds=heartbeat_seconds,
        )

    def report(self, uid: str, state: JobState = JobState.RUNNING) -> None:
        self.jobs[uid] = JobReport(uid=uid, epoch=1, state=state)
        self.hub.publish(self.jobs[uid])


async def _take(lines: AsyncGenerator[bytes, None], count: int) -> list[Line]:
    async with asyncio.timeout(60):
        return [EVENT_LINE.validate_json(await anext(lines)) for _ in range(count)]


async def test_the_inventory_comes_first_then_a_heartbeat_then_events() -> None:
    worker = _Worker()
    worker.report("a")
    async with aclosing(worker.hub.lines()) as lines:
        inventory, beat = await _take(lines, 2)
        assert isinstance(inventory, Inventory)
        assert (inventory.instance, inventory.term, inventory.number, inventory.sequence) == ("me", 3, 7, 1)
        assert [report.uid for report in inventory.reports] == ["a"]
        assert isinstance(beat, Heartbeat)
        worker.report("b")
        (event,) = await _take(lines, 1)
        assert isinstance(event, JobEvent)
        assert (event.sequence, event.report.uid) == (2, "b")


async def test_who_comes_back_in_time_gets_only_what_was_missed() -> None:
    worker = _Worker()
    for uid in "abc":
        worker.report(uid)
    async with aclosing(worker.hub.lines(("me", 1))) as lines:
        found = await _take(lines, 2)
    assert [(event.sequence, event.report.uid) for event in found if isinstance(event, JobEvent)] == [
        (2, "b"),
        (3, "c"),
    ]


async def test_who_missed_nothing_gets_no_inventory() -> None:
    worker = _Worker()
    worker.report("a")
    async with aclosing(worker.hub.lines(("me", 1))) as lines:
        (line,) = await _take(lines, 1)
    assert isinstance(line, Heartbeat)


async def test_a_gap_another_instance_and_a_number_of_the_future_begin_with_the_inventory() -> None:
    worker = _Worker(kept_events=2)
    for uid in "abcd":
        worker.report(uid)
    for after in (("me", 1), ("another", 4), ("me", 99)):
        async with aclosing(worker.hub.lines(after)) as lines:
            (line,) = await _take(lines, 1)
        assert isinstance(line, Inventory)
        assert line.sequence == 4


async def test_a_reader_that_falls_behind_while_connected_gets_the_inventory_again() -> None:
    worker = _Worker(kept_events=2)
    async with aclosing(worker.hub.lines()) as lines:
        await _take(lines, 2)
        for uid in "abcd":
            worker.report(uid)
        (line,) = await _take(lines, 1)
    assert isinstance(line, Inventory)
    assert line.sequence == 4


async def test_heartbeats_come_again_and_again() -> None:
    worker = _Worker(heartbeat_seconds=0.01)
    async with aclosing(worker.hub.lines()) as lines:
        found = await _take(lines, 4)
    assert [type(line) for line in found] == [Inventory, Heartbeat, Heartbeat, Heartbeat]


async def test_readers_are_counted_while_they_listen() -> None:
    worker = _Worker()
    lines = worker.hub.lines()
    await _take(lines, 1)
    assert worker.hub.readers == 1
    assert worker.hub.operators == 0
    await lines.aclose()
    assert worker.hub.readers == 0


async def test_operators_are_counted_apart_from_those_who_only_look() -> None:
    worker = _Worker()
    lines = worker.hub.lines(operator=True)
    await _take(lines, 1)
    assert (worker.hub.readers, worker.hub.operators) == (1, 1)
    await lines.aclose()
    assert worker.hub.operators == 0


def test_what_is_kept_of_thousands_of_events_is_little() -> None:
    hub = EventHub(lambda: Assignments("me"), list)
    tracemalloc.start()
    try:
        for frame in range(10_000):
            progress = JobProgress(decoded_frames=frame, processed_frames=frame, source_fps=25.0, last_frame_time=1e9)
            hub.publish(JobReport(uid="0" * 36, epoch=1, state=JobState.RUNNING, progress=progress))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * 1024
