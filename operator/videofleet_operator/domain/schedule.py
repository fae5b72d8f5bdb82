"""When a job's schedule lets it run. Wall clocks of the schedule's own time zones decide, also where they are changed.

A window opens at the first moment of its day at which the clock shows `from` or later, and closes at the first moment
after that at which it shows `to` or later. So each window opens once a day at most: an hour that the clock repeats
neither opens nor closes it a second time, and one that lies wholly in an hour that the clock leaves out does not open.
"""

import difflib
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from videofleet_api.schedule import Day, ScheduleWindow
from videofleet_operator.domain.model import ALWAYS, Opening, Seconds

_DAYS_BACK: Final = 2
"""A window over midnight began the day before; one more for a zone in which a day is left out."""
_DAYS_AHEAD: Final = 16
"""A window of one day a week may not open in one week because the clock leaves its hour out, but never in two."""
_ENDLESS: Final = timedelta(days=_DAYS_AHEAD - 2).total_seconds()
"""What is open for longer than this never closes: every window of a week has had its turn."""
_MINUTES: Final = 24 * 60
_WEEKDAYS: Final = {day: number for number, day in enumerate(Day)}


class UnknownTimeZoneError(ValueError):
    """A time zone that the operator has no rules of; the message says where, and which are meant perhaps."""


@dataclass(frozen=True, slots=True)
class _Span:
    """From the moment at which a window opens to that at which it closes."""

    opens: Seconds
    closes: Seconds


def opening(windows: Sequence[ScheduleWindow], now: Seconds) -> Opening:
    """Whether a job may run at a moment, and until when that answer holds. Without windows: always.

    Raises UnknownTimeZoneError.
    """
    if not windows:
        return ALWAYS
    zones = [_zone(index, window.time_zone) for index, window in enumerate(windows)]
    spans = [span for window, zone in zip(windows, zones, strict=True) for span in _spans(window, zone, now)]
    for span in _joined(spans):
        if now < span.opens:
            return Opening(False, now, span.opens)
        if now < span.closes:
            return Opening(True, now, span.closes if span.closes < now + _ENDLESS else None)
    return Opening(False, now, None)


def _zone(index: int, name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(name, sorted(zoneinfo.available_timezones()), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "write it as Europe/Berlin or UTC"
        raise UnknownTimeZoneError(f"spec.schedule[{index}].timeZone {name!r} is no time zone: {hint}") from None


def _spans(window: ScheduleWindow, zone: zoneinfo.ZoneInfo, now: Seconds) -> Iterator[_Span]:
    """When the window is open, in the days around a moment."""
    first = datetime.fromtimestamp(now, zone).date() - timedelta(days=_DAYS_BACK)
    starts, ends = _minutes(window.from_), _minutes(window.to)
    over_midnight = ends <= starts
    weekdays = {_WEEKDAYS[day] for day in window.days} if window.days else set(_WEEKDAYS.values())
    for number in range(_DAYS_BACK + _DAYS_AHEAD):
        day = first + timedelta(days=number)
        if day.weekday() not in weekdays:
            continue
        opens = _moment(day, starts, zone)
        closes = _moment(day + timedelta(days=1) if over_midnight else day, ends, zone)
        if opens < closes:
            yield _Span(opens, closes)


def _joined(spans: Sequence[_Span]) -> list[_Span]:
    """The spans in order, those that touch as one."""
    joined: list[_Span] = []
    for span in sorted(spans, key=lambda span: span.opens):
        if joined and span.opens <= joined[-1].closes:
            joined[-1] = _Span(joined[-1].opens, max(joined[-1].closes, span.closes))
        else:
            joined.append(span)
    return joined


def _minutes(clock: str) -> int:
    """Minutes since midnight of HH:MM, up to 24:00."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _moment(day: date, minutes: int, zone: zoneinfo.ZoneInfo) -> Seconds:
    """The first moment at which the clock shows so many minutes after the midnight that begins the day, or later."""
    days, left = divmod(minutes, _MINUTES)
    wall = datetime.combine(day, datetime.min.time()) + timedelta(days=days, minutes=left)
    early, late = wall.replace(tzinfo=zone).timestamp(), wall.replace(tzinfo=zone, fold=1).timestamp()
    # PEP 495: of a time that is shown twice fold=0 is the first; of one that the clock leaves out it is the later one.
    return early if early <= late else _change_of_clock(int(late), int(early), zone)


def _change_of_clock(before: int, after: int, zone: zoneinfo.ZoneInfo) -> Seconds:
    """The moment between two at which the offset from UTC changes, by halving."""
    old = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return float(after)


def told(opening: Opening) -> str:
    """Why a job does not run outside its schedule, for people."""
    if opening.until is None:
        return "outside spec.schedule, which never opens"
    return f"outside spec.schedule, which opens at {datetime.fromtimestamp(opening.until, UTC):%Y-%m-%d %H:%M} UTC"
