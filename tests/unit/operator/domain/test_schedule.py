"""Hours in which a job runs: over midnight, on some days, where clocks are changed, and where nobody knows the zone."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from videofleet_api.schedule import ScheduleWindow
from videofleet_operator.domain.model import ALWAYS
from videofleet_operator.domain.schedule import UnknownTimeZoneError, opening, told

BERLIN = "Europe/Berlin"


def windows(*given: dict[str, Any]) -> list[ScheduleWindow]:
    return [ScheduleWindow.model_validate({"timeZone": BERLIN, **each}) for each in given]


def at(text: str, zone: str = BERLIN) -> float:
    """A moment; one that the clock shows twice is the second where the text ends with a star."""
    when = datetime.fromisoformat(text.rstrip("*"))
    return when.replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("*"))).timestamp()


WORK = {"days": ["mon", "fri"], "from": "08:00", "to": "18:00"}
NIGHT = {"days": ["fri"], "from": "22:00", "to": "06:00"}
EARLY = {"from": "01:30", "to": "02:30"}


@pytest.mark.parametrize(
    ("window", "now", "inside", "until"),
    [
        (WORK, "2026-01-05 07:59", False, "2026-01-05 08:00"),
        (WORK, "2026-01-05 08:00", True, "2026-01-05 18:00"),
        (WORK, "2026-01-05 18:00", False, "2026-01-09 08:00"),
        (NIGHT, "2026-01-09 21:59", False, "2026-01-09 22:00"),
        (NIGHT, "2026-01-10 05:59", True, "2026-01-10 06:00"),
        (NIGHT, "2026-01-10 22:30", False, "2026-01-16 22:00"),
        ({"from": "00:00", "to": "24:00"}, "2026-01-10 22:30", True, None),
        ({"from": "18:00", "to": "00:00"}, "2026-01-10 23:59", True, "2026-01-11 00:00"),
        # On 29 March 2026 the clock goes from 02:00 to 03:00,
        (EARLY, "2026-03-29 01:45", True, "2026-03-29 03:00"),
        ({"from": "02:10", "to": "02:50"}, "2026-03-28 12:00", False, "2026-03-30 02:10"),
        ({"from": "02:10", "to": "03:30"}, "2026-03-29 01:59", False, "2026-03-29 03:00"),
        # and on 25 October from 03:00 back to 02:00.
        (EARLY, "2026-10-25 02:15", True, "2026-10-25 02:30"),
        (EARLY, "2026-10-25 02:15*", False, "2026-10-26 01:30"),
        ({"from": "02:30", "to": "03:30"}, "2026-10-25 02:15*", True, "2026-10-25 03:30"),
    ],
)
def test_whether_it_is_open_and_until_when(window: dict[str, Any], now: str, inside: bool, until: str | None) -> None:
    made = opening(windows(window), at(now))
    assert (made.inside, made.until) == (inside, until and at(until))


def test_windows_that_touch_are_one() -> None:
    both = windows({"from": "08:00", "to": "12:00"}, {"from": "12:00", "to": "14:00"})
    assert opening(both, at("2026-01-05 09:00")).until == at("2026-01-05 14:00")


def test_each_window_has_its_own_zone() -> None:
    both = windows({"from": "08:00", "to": "09:00"}, {"from": "08:00", "to": "09:00", "timeZone": "Asia/Tokyo"})
    assert opening(both, at("2026-01-05 08:30", "Asia/Tokyo")).until == at("2026-01-05 09:00", "Asia/Tokyo")


def test_a_day_that_a_zone_leaves_out_has_no_window() -> None:
    # Samoa went from 29 to 31 December 2011.
    window = {"days": ["fri"], "from": "10:00", "to": "12:00", "timeZone": "Pacific/Apia"}
    made = opening(windows(window), at("2011-12-29 12:00", "Pacific/Apia"))
    assert made.until == at("2012-01-06 10:00", "Pacific/Apia")


def test_without_a_schedule_it_is_always_open() -> None:
    assert opening([], at("2026-01-05 09:00")) is ALWAYS


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "../../etc/passwd", "/etc/localtime", "Mars/Crater"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(UnknownTimeZoneError, match=r"spec.schedule\[1\].timeZone"):
        opening(windows(WORK, {**WORK, "timeZone": name}), 0.0)


def test_a_zone_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(UnknownTimeZoneError, match="did you mean Europe/Berlin"):
        opening(windows({**WORK, "timeZone": "Europe/Berln"}), 0.0)


def test_people_are_told_when_it_opens() -> None:
    assert told(opening(windows(WORK), at("2026-01-05 07:00"))) == (
        "outside spec.schedule, which opens at 2026-01-05 07:00 UTC"
    )
