"""How zones and lines are told: in the result of a frame, in its picture, and over restarts."""

from collections.abc import Sequence

import numpy as np

from videofleet_api.results import LineCount, Sidecar, ZoneCount
from videofleet_worker.analytics.model import Event, LineTotals, Totals, ZoneEvent, ZoneTotals
from videofleet_worker.analytics.watch import RegionWatch
from videofleet_worker.outputs.outlines import Outline
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.regions import Watched

Document = dict[str, object]


def watch_objects(watch: RegionWatch, objects: Sequence[FoundObject], size: tuple[int, int], pts: float) -> list[Event]:
    """What the tracked ones among the objects of the next frame have done."""
    tracked = [one for one in objects if one.track_id]
    boxes = np.array([one.box for one in tracked], np.float64).reshape(-1, 4)
    return watch.update([one.track_id for one in tracked], [one.label for one in tracked], boxes, size, pts)


def region_result(events: Sequence[Event], totals: Totals) -> Document:
    """What a frame's `Result` document has beside its targets."""
    return {
        "events": region_events(events),
        "zones": [
            {"name": one.name, "inside": one.inside, "entered": one.entered, "left": one.left} for one in totals.zones
        ],
        "lines": [
            {"name": one.name, "left_to_right": one.left_to_right, "right_to_left": one.right_to_left}
            for one in totals.lines
        ],
    }


def outlines(watched: Watched, totals: Totals) -> list[Outline]:
    """What is drawn of them: `door 2 in, 14 entered` and `gate L>R 5, R>L 3`, left and right as seen along the line."""
    zones = {one.name: one for one in totals.zones}
    lines = {one.name: one for one in totals.lines}
    drawn = []
    for zone in watched.zones:
        of_zone = zones.get(zone.name, ZoneTotals(zone.name))
        text = f"{zone.name} {sum(of_zone.inside.values())} in, {sum(of_zone.entered.values())} entered"
        drawn.append(Outline(zone.corners, text, closed=True))
    for line in watched.lines:
        of_line = lines.get(line.name, LineTotals(line.name))
        there, back = sum(of_line.left_to_right.values()), sum(of_line.right_to_left.values())
        drawn.append(Outline((line.start, line.end), f"{line.name} L>R {there}, R>L {back}", closed=False))
    return drawn


def region_events(events: Sequence[Event]) -> list[Document]:
    """What objects have done in a frame."""
    return [_event(one) for one in events]


def zone_counts(totals: Totals) -> tuple[ZoneCount, ...]:
    """The counts of zones, as they lie beside a segment."""
    return tuple(
        ZoneCount(name=one.name, inside=one.inside, entered=dict(one.entered), left=dict(one.left))
        for one in totals.zones
    )


def line_counts(totals: Totals) -> tuple[LineCount, ...]:
    """The counts of lines, as they lie beside a segment."""
    return tuple(
        LineCount(name=one.name, left_to_right=dict(one.left_to_right), right_to_left=dict(one.right_to_left))
        for one in totals.lines
    )


def totals_of(sidecar: Sidecar | None) -> Totals:
    """What earlier epochs have counted."""
    if sidecar is None:
        return Totals()
    return Totals(
        tuple(ZoneTotals(one.name, one.entered, one.left) for one in sidecar.zones),
        tuple(LineTotals(one.name, one.left_to_right, one.right_to_left) for one in sidecar.lines),
    )


def _event(event: Event) -> Document:
    object_: Document = {"track_id": event.track_id, "class": event.label}
    if isinstance(event, ZoneEvent):
        stay = {} if event.kind == "enter" else {"seconds": round(event.seconds, 3)}
        lost = {"lost": True} if event.lost else {}
        return {"kind": f"zone_{event.kind}", "zone": event.zone} | object_ | stay | lost
    return {"kind": "line_cross", "line": event.line} | object_ | {"direction": event.way}
