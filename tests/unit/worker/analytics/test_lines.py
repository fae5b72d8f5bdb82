"""Who crosses a line, and which way."""

import pytest

from tests.support.walks import LOST_SECONDS, Place, Stage, ways
from videofleet_worker.analytics.model import LineEvent, LineSettings, LineTotals, Totals

ACROSS = LineSettings("gate", (0.2, 0.5), (0.8, 0.5))
DOWN: list[Place] = [(500.0, y) for y in range(400, 601, 20)]
UP = DOWN[::-1]


def test_a_crossing_is_told_once_with_its_way() -> None:
    stage = Stage(lines=[ACROSS])
    assert stage.walk(4, *DOWN) == [LineEvent("gate", 4, "person", "leftToRight")]
    assert stage.walk(4, *UP) == [LineEvent("gate", 4, "person", "rightToLeft")]
    (line,) = stage.watch.totals.lines
    assert (line.left_to_right, line.right_to_left) == ({"person": 1}, {"person": 1})


@pytest.mark.parametrize(
    ("line", "walk", "way"),
    [
        (LineSettings("a", (0.2, 0.5), (0.8, 0.5)), DOWN, "leftToRight"),
        (LineSettings("a", (0.8, 0.5), (0.2, 0.5)), DOWN, "rightToLeft"),
        (LineSettings("a", (0.5, 0.2), (0.5, 0.8)), [(300.0, 500.0), (700.0, 500.0)], "rightToLeft"),
        (LineSettings("a", (0.5, 0.8), (0.5, 0.2)), [(300.0, 500.0), (700.0, 500.0)], "leftToRight"),
    ],
    ids=["down over a line to the right", "down over a line to the left", "right over one down", "right over one up"],
)
def test_sides_are_those_of_one_who_looks_along_the_line(line: LineSettings, walk: list[Place], way: str) -> None:
    assert ways(Stage(lines=[line]).walk(1, *walk)) == [way]


def test_a_box_that_trembles_on_the_line_does_not_cross_it() -> None:
    stage = Stage(lines=[ACROSS])
    # The diagonal of the box is 112 pixels, so its margin is 5.6.
    assert stage.walk(1, *[(500, 500 + offset) for offset in (-20, -3, 3, -5, 5, -1, 4) * 20]) == []
    assert ways(stage.walk(1, (500, 507), (500, 497), (500, 503))) == ["leftToRight"]


def test_one_who_comes_to_the_line_and_goes_back_has_not_crossed() -> None:
    stage = Stage(lines=[ACROSS])
    assert stage.walk(1, (500, 450), (500, 495), (500, 504), (500, 495), (500, 450)) == []


def test_one_who_is_found_on_the_line_has_no_side_yet() -> None:
    stage = Stage(lines=[ACROSS])
    assert stage.walk(1, (500, 502), (500, 540)) == []
    assert ways(stage.walk(1, *UP)) == ["rightToLeft"]


def test_a_fast_one_crosses_between_two_frames() -> None:
    assert ways(Stage(lines=[ACROSS]).walk(1, (500, 100), (520, 900))) == ["leftToRight"]


def test_who_walks_round_an_end_has_not_crossed() -> None:
    stage = Stage(lines=[ACROSS])
    assert stage.walk(1, (150, 450), (150, 550), (300, 550)) == []
    assert ways(stage.walk(1, (300, 450))) == ["rightToLeft"], "back over the line"


def test_who_was_hidden_while_crossing_has_crossed() -> None:
    stage = Stage(lines=[ACROSS])
    stage.walk(1, (500, 450))
    stage.wait(LOST_SECONDS / 2)
    assert ways(stage.walk(1, (500, 550))) == ["leftToRight"]


def test_who_is_forgotten_has_no_side_any_more() -> None:
    stage = Stage(lines=[ACROSS])
    stage.walk(1, (500, 450))
    stage.wait(2 * LOST_SECONDS)
    assert stage.walk(1, (500, 550)) == []


def test_only_the_ways_of_the_line_count() -> None:
    stage = Stage(lines=[LineSettings("in", (0.2, 0.5), (0.8, 0.5), ways=("leftToRight",))])
    assert ways(stage.walk(1, *DOWN, *UP, *DOWN)) == ["leftToRight", "leftToRight"]
    assert stage.watch.totals.lines[0].right_to_left == {}


def test_only_the_classes_of_the_line_count() -> None:
    stage = Stage(lines=[LineSettings("road", (0.2, 0.5), (0.8, 0.5), classes=frozenset({"car", "bus"}))])
    for track_id, label in enumerate(["person", "car", "bus", "car"], start=1):
        stage.walk(track_id, *DOWN, label=label)
    assert stage.watch.totals.lines[0].left_to_right == {"car": 2, "bus": 1}


def test_a_line_that_is_moved_over_somebody_does_not_cross_him() -> None:
    stage = Stage(lines=[ACROSS])
    stage.walk(1, (500, 450))
    stage.watch.use([], [LineSettings("gate", (0.2, 0.4), (0.8, 0.4))], LOST_SECONDS)
    assert stage.walk(1, (500, 450)) == []
    assert ways(stage.walk(1, (500, 350))) == ["rightToLeft"]


def test_a_line_whose_classes_change_goes_on() -> None:
    stage = Stage(lines=[ACROSS])
    stage.walk(1, (500, 450))
    stage.watch.use([], [LineSettings("gate", ACROSS.start, ACROSS.end, frozenset({"person"}))], LOST_SECONDS)
    assert ways(stage.walk(1, (500, 550))) == ["leftToRight"]


def test_a_line_stays_where_it_is_when_the_resolution_changes() -> None:
    stage = Stage(lines=[ACROSS])
    stage.walk(1, (500, 450))
    stage.size = (500, 500)
    assert stage.walk(1, (250, 225)) == []
    assert ways(stage.walk(1, (250, 275))) == ["leftToRight"]


def test_counts_go_on_over_restarts() -> None:
    before = Totals(lines=(LineTotals("gate", {"person": 3}, {"car": 1}), LineTotals("gone", {"person": 9})))
    stage = Stage(lines=[ACROSS], before=before)
    stage.walk(1, *DOWN)
    assert stage.watch.totals.lines == (LineTotals("gate", {"person": 4}, {"car": 1}),)
