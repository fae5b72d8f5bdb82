"""What is drawn of zones and lines: their places, and what was counted there."""

from videofleet_worker.analytics.model import LineSettings, LineTotals, Totals, ZoneSettings, ZoneTotals
from videofleet_worker.outputs.outlines import Outline
from videofleet_worker.pipeline.region_results import outlines
from videofleet_worker.pipeline.regions import Watched

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
WATCHED = Watched((ZoneSettings("door", CORNERS),), (LineSettings("gate", (0.0, 0.5), (1.0, 0.5)),))


def test_counts_are_those_of_all_classes() -> None:
    totals = Totals(
        (ZoneTotals("door", {"person": 5, "dog": 2}, {"person": 4}),), (LineTotals("gate", {"person": 2}, {"dog": 1}),)
    )
    assert outlines(WATCHED, totals) == [
        Outline(CORNERS, "door 3 in, 7 entered", closed=True),
        Outline(((0.0, 0.5), (1.0, 0.5)), "gate L>R 2, R>L 1", closed=False),
    ]


def test_what_has_just_been_added_has_counted_nothing() -> None:
    assert [one.text for one in outlines(WATCHED, Totals())] == ["door 0 in, 0 entered", "gate L>R 0, R>L 0"]
    assert outlines(Watched(), Totals()) == []
