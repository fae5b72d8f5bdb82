"""Who is in a zone: entering, leaving, staying, over borders, edits and restarts."""

import pytest

from tests.support.walks import LOST_SECONDS, Stage, square, zone_kinds
from videofleet_worker.analytics.model import Totals, ZoneEvent, ZoneSettings, ZoneTotals

MIDDLE = square("middle", 0.4, 0.4, 0.6, 0.6)
OUTSIDE, INSIDE = (200.0, 500.0), (500.0, 500.0)


def counts(stage: Stage) -> tuple[int, int]:
    """How many people entered and left the first zone."""
    zone = stage.watch.totals.zones[0]
    return zone.entered.get("person", 0), zone.left.get("person", 0)


def test_one_who_walks_through_enters_and_leaves_once() -> None:
    stage = Stage([MIDDLE])
    told = stage.walk(7, *[(x, 500.0) for x in range(200, 801, 50)])
    assert zone_kinds(told) == [("enter", 7), ("leave", 7)]
    leave = told[-1]
    assert isinstance(leave, ZoneEvent)
    assert leave.seconds == pytest.approx(0.4)
    assert not leave.lost
    assert counts(stage) == (1, 1)
    assert stage.watch.totals.zones[0].inside == {}


def test_one_stands_where_the_lower_edge_of_the_box_is() -> None:
    stage = Stage([square("low", 0.0, 0.9, 1.0, 1.0)])
    assert zone_kinds(stage.walk(1, (500, 850), (500, 950))) == [("enter", 1)]


def test_a_box_that_trembles_on_the_border_enters_once() -> None:
    stage = Stage([MIDDLE])
    # The diagonal of the box is 112 pixels, so its margin is 5.6.
    tremble = [(400 + offset, 500.0) for offset in (-20, 3, -3, 4, 8, -4, 5, -5, 3, -2) * 5]
    assert zone_kinds(stage.walk(1, *tremble)) == [("enter", 1), ("leave", 1)] * 4 + [("enter", 1)]
    calm = Stage([MIDDLE])
    assert zone_kinds(calm.walk(1, *[(400 + offset, 500.0) for offset in (8, -4, 5, -5, 3, -2) * 9])) == [("enter", 1)]


def test_a_zone_narrower_than_the_margin_is_entered_too() -> None:
    stage = Stage([square("sill", 0.0, 0.5, 1.0, 0.506)])
    assert zone_kinds(stage.walk(1, (500, 450), (500, 503), (500, 550))) == [("enter", 1), ("leave", 1)]


def test_one_who_is_there_from_the_beginning_has_entered() -> None:
    stage = Stage([MIDDLE])
    assert zone_kinds(stage.walk(1, INSIDE, INSIDE)) == [("enter", 1)]
    assert stage.watch.totals.zones[0].inside == {"person": 1}


def test_one_who_is_seen_no_more_leaves_when_the_track_ends() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, OUTSIDE, INSIDE, INSIDE)
    assert stage.wait(LOST_SECONDS / 2) == []
    (left,) = stage.wait(LOST_SECONDS)
    assert left == ZoneEvent("leave", "middle", 1, "person", pytest.approx(0.1), lost=True)


def test_one_who_was_hidden_for_a_moment_has_not_left() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, OUTSIDE, INSIDE)
    stage.wait(LOST_SECONDS / 2)
    assert stage.walk(1, INSIDE) == []


def test_who_stays_is_told_once_a_stay() -> None:
    stage = Stage([square("bench", 0.4, 0.4, 0.6, 0.6, min_dwell=1.0)])
    told = stage.walk(1, *[INSIDE] * 30)
    assert zone_kinds(told) == [("enter", 1), ("dwell", 1)]
    assert told[1] == ZoneEvent("dwell", "bench", 1, "person", pytest.approx(1.0))
    assert zone_kinds(stage.walk(1, OUTSIDE, *[INSIDE] * 11)) == [("leave", 1), ("enter", 1), ("dwell", 1)]


def test_who_leaves_in_time_has_not_dwelt() -> None:
    stage = Stage([square("bench", 0.4, 0.4, 0.6, 0.6, min_dwell=1.0)])
    assert zone_kinds(stage.walk(1, *[INSIDE] * 9, OUTSIDE)) == [("enter", 1), ("leave", 1)]


def test_only_the_classes_of_the_zone_count() -> None:
    stage = Stage([square("road", 0.4, 0.4, 0.6, 0.6, classes=frozenset({"car"})), square("all", 0.4, 0.4, 0.6, 0.6)])
    stage.walk(1, INSIDE)
    stage.walk(2, INSIDE, label="car")
    road, everything = stage.watch.totals.zones
    assert road.entered == {"car": 1}
    assert everything.entered == {"person": 1, "car": 1}


def test_zones_overlap() -> None:
    stage = Stage([MIDDLE, square("wide", 0.3, 0.3, 0.7, 0.7)])
    told = stage.walk(1, (200, 500), (350, 500), (500, 500))
    assert [event.zone for event in told if isinstance(event, ZoneEvent)] == ["wide", "middle"]


def test_an_outline_that_crosses_itself_holds_what_it_goes_round() -> None:
    star = ZoneSettings("star", ((0.5, 0.1), (0.7, 0.9), (0.1, 0.4), (0.9, 0.4), (0.3, 0.9)))
    assert zone_kinds(Stage([star]).walk(1, (500, 500))) == [("enter", 1)], "also in the middle of the star"


def test_a_zone_stays_where_it_is_when_the_resolution_changes() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, INSIDE)
    stage.size = (500, 500)
    assert stage.walk(1, (250, 250)) == []
    assert zone_kinds(stage.walk(1, INSIDE)) == [("leave", 1)], "now this is the picture's corner"


# Edits


def test_a_zone_that_is_moved_goes_on_counting_under_its_name() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, OUTSIDE, INSIDE)
    stage.watch.use([square("middle", 0.1, 0.4, 0.3, 0.6)], [], LOST_SECONDS)
    assert zone_kinds(stage.walk(1, INSIDE, OUTSIDE)) == [("leave", 1), ("enter", 1)]
    assert counts(stage) == (2, 1)


def test_at_a_border_that_was_moved_the_place_alone_decides_once() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, (404, 500))
    stage.watch.use([square("middle", 0.405, 0.4, 0.6, 0.6)], [], LOST_SECONDS)
    assert zone_kinds(stage.walk(1, (404, 500), (406, 500))) == [("leave", 1)]


def test_a_new_zone_begins_at_nothing_and_the_others_do_not_notice() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, OUTSIDE, INSIDE)
    stage.watch.use([square("new", 0.0, 0.0, 1.0, 1.0), MIDDLE], [], LOST_SECONDS)
    told = stage.walk(1, INSIDE)
    assert told == [ZoneEvent("enter", "new", 1, "person")]
    assert [(zone.name, zone.inside) for zone in stage.watch.totals.zones] == [
        ("new", {"person": 1}),
        ("middle", {"person": 1}),
    ]


def test_a_zone_that_is_taken_away_is_forgotten() -> None:
    stage = Stage([MIDDLE])
    stage.walk(1, OUTSIDE, INSIDE)
    stage.watch.use([], [], LOST_SECONDS)
    assert stage.walk(1, OUTSIDE) == []
    stage.watch.use([MIDDLE], [], LOST_SECONDS)
    stage.walk(1, OUTSIDE, INSIDE)
    assert counts(stage) == (1, 0)


# Restarts


def test_counts_go_on_and_those_inside_are_not_counted_again() -> None:
    before = Totals(zones=(ZoneTotals("middle", {"person": 5}, {"person": 3}),))
    stage = Stage([MIDDLE], before=before)
    assert stage.show({1: INSIDE, 2: (520, 520), 3: (450, 450)}) == [ZoneEvent("enter", "middle", 3, "person")]
    assert counts(stage) == (6, 3)
    assert stage.watch.totals.zones[0].inside == {"person": 3}


def test_when_all_are_found_again_nobody_has_left() -> None:
    stage = Stage([MIDDLE], before=Totals(zones=(ZoneTotals("middle", {"person": 1}, {}),)))
    stage.walk(1, *[INSIDE] * 30)
    assert stage.watch.totals.zones == (ZoneTotals("middle", {"person": 1}, {}),)
    assert stage.events == [], "a stay goes on without an event, under a new number"


def test_those_inside_who_are_not_found_again_have_left() -> None:
    before = Totals(zones=(ZoneTotals("middle", {"person": 5}, {"person": 3}),))
    stage = Stage([MIDDLE], before=before)
    stage.walk(1, *[INSIDE] * 30)
    assert counts(stage) == (5, 4)
    assert stage.watch.totals.zones[0].inside == {"person": 1}


def test_one_who_comes_in_from_outside_after_a_restart_is_another() -> None:
    before = Totals(zones=(ZoneTotals("middle", {"person": 1}, {}),))
    stage = Stage([MIDDLE], before=before)
    assert zone_kinds(stage.walk(1, OUTSIDE, INSIDE)) == [("enter", 1)]
    assert counts(stage) == (2, 0)


def test_counts_of_zones_that_there_are_no_more_are_dropped() -> None:
    stage = Stage([MIDDLE], before=Totals(zones=(ZoneTotals("gone", {"person": 5}, {}),)))
    stage.walk(1, OUTSIDE)
    assert [zone.name for zone in stage.watch.totals.zones] == ["middle"]
    assert counts(stage) == (0, 0)
