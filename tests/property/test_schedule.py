"""What a schedule says is what somebody says who looks at the clock every minute."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from operator import ne
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from videofleet_api.schedule import Day, ScheduleWindow
from videofleet_operator.domain.schedule import opening

MINUTE: Final = 60
MINUTES_A_DAY: Final = 24 * 60
DAY: Final = MINUTES_A_DAY * MINUTE
DAYS: Final = list(Day)
# Days on which clocks are changed: by an hour, by half of one, at midnight, over a whole day; and one without a change.
CHANGES: Final = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Africa/Casablanca", "2026-02-15"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("Pacific/Apia", "2011-12-30"),
    ("Asia/Kathmandu", "2026-05-05"),
]
clocks = st.integers(0, 24 * 60 - 1) | st.integers(0, 5 * 60)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def schedules(draw: st.DrawFn, zone: str) -> list[ScheduleWindow]:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(clocks)
        end = draw((clocks | st.just(24 * 60)).filter(partial(ne, begin)))
        days = draw(st.just([]) | st.lists(st.sampled_from(DAYS), min_size=1, max_size=7))
        made.append(
            ScheduleWindow.model_validate({"days": days, "from": clock(begin), "to": clock(end), "timeZone": zone})
        )
    return made


@cache
def walls(name: str, begin: int, end: int) -> list[int]:
    """What the clock shows each minute, as minutes since the first day of the calendar."""
    zone = ZoneInfo(name)
    shown = [datetime.fromtimestamp(moment, zone) for moment in range(begin, end, MINUTE)]
    return [each.toordinal() * MINUTES_A_DAY + each.hour * 60 + each.minute for each in shown]


class Watcher:
    """Looks at the clock each minute. Remembers only the days on which a window has opened, and closed."""

    def __init__(self, window: ScheduleWindow) -> None:
        self._begin, self._end = minutes(window.from_), minutes(window.to)
        if self._end <= self._begin:
            self._end += MINUTES_A_DAY
        self._days = {DAYS.index(day) for day in window.days or DAYS}
        self._opened: set[int] = set()
        self._closed: set[int] = set()

    def open(self, wall: int) -> bool:
        """Whether the window is open when the clock shows this."""
        today = wall // MINUTES_A_DAY
        for day in range(today - 3, today + 1):
            if (day - 1) % 7 not in self._days:
                continue
            if wall >= day * MINUTES_A_DAY + self._begin:
                self._opened.add(day)
            if day in self._opened and wall >= day * MINUTES_A_DAY + self._end:
                self._closed.add(day)
        return len(self._opened) > len(self._closed)


def minutes(clock: str) -> int:
    hours, rest = clock.split(":")
    return int(hours) * 60 + int(rest)


def watched(windows: Sequence[ScheduleWindow], name: str, begin: int, end: int) -> list[bool]:
    """Whether anything is open, minute by minute, by somebody who has been watching for days before."""
    watchers = [Watcher(window) for window in windows]
    before = begin - 3 * DAY
    seen = [sum(watcher.open(wall) for watcher in watchers) > 0 for wall in walls(name, before, end)]
    return seen[(begin - before) // MINUTE :]


# A minute-by-minute walk takes its time on a machine that does much else.
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_is_what_the_clock_on_the_wall_says(data: st.DataObject) -> None:
    name, day = data.draw(st.sampled_from(CHANGES))
    windows = data.draw(schedules(name))
    noon = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())
    begin, end = noon - DAY, noon + 2 * DAY
    seen = watched(windows, name, begin, end)
    for number in data.draw(st.sets(st.integers(0, len(seen) - 1), min_size=1, max_size=20)):
        made = opening(windows, begin + number * MINUTE)
        assert made.inside == seen[number]
        flip = next((later for later in range(number, len(seen)) if seen[later] != seen[number]), None)
        if flip is not None:
            assert made.until == begin + flip * MINUTE
        else:
            assert made.until is None or made.until >= end


@settings(deadline=None)
@given(st.data(), st.floats(1_500_000_000, 2_000_000_000))
def test_the_next_change_is_one(data: st.DataObject, now: float) -> None:
    name, _ = data.draw(st.sampled_from(CHANGES))
    windows = data.draw(schedules(name))
    made = opening(windows, now)
    assert made.holds(now)
    if made.until is not None:
        assert made.until > now
        assert opening(windows, made.until).inside is not made.inside
        assert opening(windows, max(now, made.until - 0.001)).inside is made.inside
