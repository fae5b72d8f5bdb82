"""How a live source is told to be: rules on virtual time, and real sources."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import DEADLINE
from videofleet_api.codes import SourceHealth
from videofleet_worker.sources.events import HealthChanged, SourceEvent
from videofleet_worker.sources.health import HealthMonitor

H = SourceHealth


class Story:
    """A source of 10 frames a second, in virtual time."""

    def __init__(self, announced: float = 10.0) -> None:
        self.monitor = HealthMonitor()
        self.announced = announced
        self.now = 1000.0
        self.still = self.black = 0.0
        self.told: list[tuple[float, SourceHealth]] = []

    def go(self, seconds: float, fps: float = 10.0, *, frozen: bool = False, black: bool = False) -> "Story":
        begin, came = self.now, 0
        while self.now < begin + seconds:
            self.now += 0.25
            due = int((self.now - begin) * fps)
            self.still = self.still + 0.25 if frozen or black else 0.0
            self.black = self.black + 0.25 if black else 0.0
            if self.monitor.note(self.now, due - came, self.announced, self.still, self.black):
                self.told.append((self.now, self.monitor.state))
            came = due
        return self

    @property
    def states(self) -> list[SourceHealth]:
        return [state for _, state in self.told]


def test_a_source_is_well_until_something_lasts() -> None:
    story = Story().go(60).go(9, frozen=True).go(60).go(9, black=True).go(60).go(5, fps=1).go(60)
    assert (story.told, story.monitor.state) == ([], H.HEALTHY)


@pytest.mark.parametrize(
    ("fault", "state"),
    [({"frozen": True}, H.FROZEN), ({"black": True}, H.BLACK), ({"fps": 2.0}, H.LOW_FPS)],
    ids=str,
)
def test_what_lasts_is_told_once_and_its_end_too(fault: dict[str, Any], state: SourceHealth) -> None:
    story = Story().go(60).go(120, **fault)
    assert story.states == [state]
    assert story.monitor.message
    story.go(60)
    assert story.states == [state, H.HEALTHY]


def test_a_picture_that_changes_now_and_then_stays_frozen() -> None:
    story = Story().go(30)
    for _ in range(20):
        story.go(14, frozen=True).go(0.5)
    assert story.states == [H.FROZEN]


def test_what_comes_and_goes_is_told_ever_more_seldom() -> None:
    story = Story()
    for _ in range(60):
        story.go(30, frozen=True).go(30)
    assert len(story.told) <= 12, "in an hour"


def test_half_the_rate_is_nothing_to_tell_and_a_third_is() -> None:
    assert Story().go(60).go(120, fps=5).states == []
    assert Story().go(60).go(120, fps=3.3).states == [H.LOW_FPS]


def test_between_the_two_limits_it_stays_as_it_was() -> None:
    story = Story().go(60).go(60, fps=3)
    assert story.go(120, fps=5).states == [H.LOW_FPS]
    assert story.go(60, fps=7).states == [H.LOW_FPS, H.HEALTHY]


def test_what_was_delivered_before_counts_where_nothing_is_announced() -> None:
    assert Story(announced=0).go(60).go(30, fps=3).states == [H.LOW_FPS]
    assert Story(announced=90).go(60).go(60).states == [], "nobody believes 90 frames a second"
    assert Story(announced=25).go(60).go(60).told == [], "it never delivers more than 10 of 25"
    assert Story(announced=30).go(60, fps=10).states == [H.LOW_FPS], "a third of what it announces"


def test_a_burst_makes_no_usual_rate() -> None:
    story = Story(announced=0)
    for _ in range(10):
        story.go(10, fps=40).go(20, fps=10)
    assert story.states == []


def test_a_new_connection_is_measured_anew_and_illness_outlasts_it() -> None:
    story = Story().go(60).go(30, fps=2)
    story.monitor.connect()
    story.announced = 2.0
    assert story.go(10, fps=2).states == [H.LOW_FPS], "not well at once"
    assert story.go(30, fps=2).states == [H.LOW_FPS, H.HEALTHY]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["well", "frozen", "black", "slow"])), max_size=12))
def test_whatever_happens_it_is_told_seldom_and_ends_well(parts: Iterable[tuple[int, str]]) -> None:
    story = Story().go(40)
    for quarters, kind in parts:
        fps = 1.0 if kind == "slow" else 10.0
        story.go(quarters / 4, fps, frozen=kind == "frozen", black=kind == "black")
    again = [
        later - earlier
        for (earlier, _), (later, state) in zip(story.told, story.told[1:], strict=False)
        if state is H.HEALTHY
    ]
    assert all(span >= 15 for span in again), "nothing is well again sooner"
    story.go(400)
    assert story.monitor.state is H.HEALTHY


@pytest.mark.parametrize(
    ("fault", "state"), [("freeze@20", H.FROZEN), ("black@20", H.BLACK), ("slow@100", H.LOW_FPS)], ids=str
)
async def test_a_source_that_falls_ill_says_so_and_goes_on(
    make_source: MakeSource, events: list[SourceEvent], fault: str, state: SourceHealth
) -> None:
    source = make_source(f"test://pattern?width=64&height=48&fps=10&fail={fault}")
    seen: list[SourceHealth] = []
    async with asyncio.timeout(DEADLINE):
        async for frame in source.frames():
            frame.release()
            seen = [event.health for event in events if isinstance(event, HealthChanged)]
            if seen:
                break
    await source.close()
    assert seen == [state]


async def test_nobody_watches_a_recorded_source(make_source: MakeSource, events: list[SourceEvent]) -> None:
    source = make_source("test://pattern?width=64&height=48&fps=10&frames=300&fail=black")
    async for frame in source.frames():
        frame.release()
    assert not [event for event in events if isinstance(event, HealthChanged)]
