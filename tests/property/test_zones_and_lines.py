"""Laws of zones and lines, and the same counts as supervision's LineZone and PolygonZone on drawn walks."""

from collections import Counter
from itertools import pairwise

import numpy as np
import supervision as sv
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.walks import SIZE, Stage, box_at, square, ways
from videofleet_worker.analytics.geometry import Polygons
from videofleet_worker.analytics.lines import LineWatch
from videofleet_worker.analytics.model import LineEvent, LineSettings, Totals, ZoneEvent, ZoneSettings
from videofleet_worker.analytics.sighting import Sighting

_shares = st.integers(0, 100).map(lambda number: number / 100)
_places = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda place: (float(place[0]), float(place[1])))
_corners = st.lists(st.tuples(_shares, _shares), min_size=3, max_size=8)
_zones = st.lists(_corners, min_size=1, max_size=3).map(
    lambda all_corners: [ZoneSettings(f"zone-{place}", tuple(one)) for place, one in enumerate(all_corners)]
)
_frames = st.lists(st.dictionaries(st.integers(1, 4), _places, max_size=4), min_size=1, max_size=40)
_pauses = st.sampled_from([0.1, 0.1, 0.1, 1.0, 5.0])


@given(_zones, st.lists(st.tuples(st.dictionaries(st.integers(1, 4), _places, max_size=4), _pauses), max_size=40))
def test_whoever_entered_and_did_not_leave_is_inside(
    zones: list[ZoneSettings], frames: list[tuple[dict[int, tuple[float, float]], float]]
) -> None:
    stage = Stage(zones)
    present: set[tuple[str, int]] = set()
    for places, pause in frames:
        for event in stage.show(places, seconds=pause):
            assert isinstance(event, ZoneEvent)
            who = (event.zone, event.track_id)
            assert (who in present) == (event.kind == "leave"), "in turn"
            present ^= {who}
            assert event.seconds >= 0
        inside = Counter(zone for zone, _ in present)
        assert {one.name: one.inside.get("person", 0) for one in stage.watch.totals.zones} == {
            zone.name: inside[zone.name] for zone in zones
        }


@given(_zones, _frames, st.integers(0, 40), st.lists(st.tuples(_shares, _shares), min_size=2, max_size=2, unique=True))
def test_a_restart_counts_nobody_twice_who_stays_where_he_is(
    zones: list[ZoneSettings],
    frames: list[dict[int, tuple[float, float]]],
    cut: int,
    ends: list[tuple[float, float]],
) -> None:
    lines = [LineSettings("line", *ends)]
    first = Stage(zones, lines)
    for places in frames[:cut]:
        first.show(places)
    standing = frames[min(cut, len(frames)) - 1] if cut else {}
    before = first.watch.totals
    again = Stage(zones, lines, before=before)
    # The tracker of a new epoch gives new numbers.
    again.show({track_id + 100: place for track_id, place in standing.items()})
    after = again.watch.totals
    assert after.lines == before.lines
    for was, now in zip(before.zones, after.zones, strict=True):
        assert now.entered.get("person", 0) >= was.entered.get("person", 0)
        found = sum(
            bool(inside)
            for inside in Polygons.of([next(z.corners for z in zones if z.name == was.name)], SIZE).contain(
                np.array([*standing.values()]).reshape(-1, 2)
            )
        )
        expected = max(0, found - was.inside.get("person", 0))
        assert now.entered.get("person", 0) - was.entered.get("person", 0) == expected


@given(_corners, st.lists(_places, min_size=1, max_size=20))
def test_a_zone_holds_what_supervision_says_it_holds(
    corners: list[tuple[float, float]], places: list[tuple[float, float]]
) -> None:
    """Where outlines cross themselves the two differ: supervision's fill takes doubly encircled parts out."""
    polygons = Polygons.of([corners], SIZE)
    assume(_is_simple(corners))
    points = np.array(places)
    # Its answer is drawn in pixels.
    surely = polygons.border_distances(points)[:, 0] > 2
    boxes = np.array([box_at(place) for place in places])
    zone = sv.PolygonZone((np.array(corners) * SIZE).astype(int))
    theirs = zone.trigger(sv.Detections(xyxy=boxes))
    ours = polygons.contain(points)[:, 0]
    assert ours[surely].tolist() == theirs[surely].tolist()


def _is_simple(corners: list[tuple[float, float]]) -> bool:
    """Whether no two edges that are not neighbours meet, and no corner is there twice."""
    if len(set(corners)) < len(corners):
        return False
    points = [(round(100 * x), round(100 * y)) for x, y in corners]
    count = len(points)
    edges = [(points[at], points[(at + 1) % count]) for at in range(count)]
    return not any(
        _meet(edges[one], edges[other])
        for one in range(count)
        for other in range(one + 2, count)
        if (one, other) != (0, count - 1)
    )


Pixel = tuple[int, int]


def _meet(one: tuple[Pixel, Pixel], other: tuple[Pixel, Pixel]) -> bool:
    def turn(a: Pixel, b: Pixel, c: Pixel) -> int:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = one, other
    return turn(a, b, c) * turn(a, b, d) <= 0 and turn(c, d, a) * turn(c, d, b) <= 0


@given(st.lists(_places, min_size=1, max_size=40), st.booleans())
def test_a_line_across_the_picture_counts_as_supervision_does(places: list[tuple[float, float]], upright: bool) -> None:
    """Without a margin, which supervision has not. A line from edge to edge: beside a shorter one supervision also
    counts who has walked round an end."""
    assume(all(place[0 if upright else 1] != 500 for place in places))
    start, end = ((0.5, 0.0), (0.5, 1.0)) if upright else ((0.0, 0.5), (1.0, 0.5))
    line = LineSettings("line", start, end)
    theirs = sv.LineZone(
        sv.Point(start[0] * 1000, start[1] * 1000),
        sv.Point(end[0] * 1000, end[1] * 1000),
        triggering_anchors=[sv.Position.BOTTOM_CENTER],
    )
    ours = LineWatch([line], [])
    ours.add(1)
    for at, place in enumerate(places):
        theirs.trigger(_one(place))
        ours.step(_seen(place, at / 10, margin=0.0))
    (totals,) = ours.totals
    assert totals.left_to_right.get("person", 0) == theirs.out_count
    assert totals.right_to_left.get("person", 0) == theirs.in_count


@given(st.lists(_places, min_size=1, max_size=40))
def test_margins_only_ever_take_crossings_away_and_ways_take_turns(places: list[tuple[float, float]]) -> None:
    line = LineSettings("line", (0.0, 0.5), (1.0, 0.5))
    bare = LineWatch([line], [])
    bare.add(1)
    stage = Stage(lines=[line])
    for at, place in enumerate(places):
        bare.step(_seen(place, at / 10, margin=0.0))
    told = ways(stage.walk(1, *places))
    assert all(one != other for one, other in pairwise(told))
    (without,), (with_margin,) = bare.totals, stage.watch.totals.lines
    assert with_margin.left_to_right.get("person", 0) <= without.left_to_right.get("person", 0)
    assert with_margin.right_to_left.get("person", 0) <= without.right_to_left.get("person", 0)


@given(_frames, st.lists(st.tuples(_shares, _shares), min_size=2, max_size=2, unique=True))
def test_nobody_crosses_a_line_and_a_zone_without_having_moved(
    frames: list[dict[int, tuple[float, float]]], ends: list[tuple[float, float]]
) -> None:
    stage = Stage([square("zone", 0.2, 0.2, 0.8, 0.8)], [LineSettings("line", *ends)])
    for places in frames:
        stage.show(places)
        again = stage.show(places)
        assert [event for event in again if isinstance(event, LineEvent)] == []


def test_nothing_watched_tells_nothing() -> None:
    stage = Stage()
    assert stage.walk(1, (1.0, 1.0)) == []
    assert stage.watch.totals == Totals()


def _one(place: tuple[float, float]) -> sv.Detections:
    return sv.Detections(xyxy=np.array([box_at(place)]), tracker_id=np.array([1]), class_id=np.array([0]))


def _seen(place: tuple[float, float], pts: float, margin: float) -> Sighting:
    rows, places = np.zeros(1, np.int64), np.array([place])
    return Sighting(rows, [1], ["person"], places, np.array([margin]), SIZE, pts)
