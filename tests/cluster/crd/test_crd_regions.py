"""What the API server says to zones, lines and privacy masks."""

from typing import Any

import pytest

from tests.cluster.crd.server import Json, Server
from tests.cluster.crd.test_crd_refusals import DETECT, body, job

FLAT = "the corners of the polygon lie on one line: move one of them aside, so that it has an area"
UNTRACKED = "zones and lines need an analytics with a track step: only what is followed can enter, leave or cross"
APART = "from and to must be two different places, more than a thousandth of the picture apart"


def polygon(*corners: tuple[float, float]) -> list[Json]:
    return [{"x": x, "y": y} for x, y in corners]


TRIANGLE = polygon((0, 0), (1, 0), (1, 1))


def zone(**given: Any) -> Json:
    return {"name": "door", "polygon": TRIANGLE} | given


def line(**given: Any) -> Json:
    return {"name": "gate", "from": {"x": 0, "y": 0.5}, "to": {"x": 1, "y": 0.5}} | given


TAKEN: dict[str, Json] = {
    "all of them": job(
        zones=[zone(classes=["person"], minDwell=5), zone(name="Yard 2", polygon=polygon((0, 0), (0.2, 0), (0, 0.01)))],
        lines=[line(), line(name="in only", direction="leftToRight", classes=["car", "bus"])],
        privacyMasks=[{"polygon": TRIANGLE}, {"polygon": TRIANGLE, "mode": "blur"}],
    ),
    "as many as there may be": job(
        zones=[zone(name=f"z{one}", polygon=TRIANGLE + TRIANGLE * 9) for one in range(16)],
        lines=[line(name=f"l{one}") for one in range(16)],
        privacyMasks=[{"polygon": TRIANGLE + TRIANGLE * 9}] * 16,
    ),
    "empty lists without tracking": job(analytics=[{"steps": [DETECT]}], zones=[], lines=[]),
    "masks without tracking": job(analytics=[{"steps": [DETECT]}], privacyMasks=[{"polygon": TRIANGLE}]),
    "tracking in the second analytics": job(
        analytics=[{"steps": [DETECT]}, {"name": "t", "steps": [DETECT, {"model": "track"}]}], zones=[zone()]
    ),
}

REFUSED: dict[str, tuple[Json, tuple[str, str]]] = {
    "a polygon of two points": (
        job(zones=[zone(polygon=TRIANGLE[:2])]),
        body("spec.zones[0].polygon", 2, "should have at least 3 items"),
    ),
    "a mask of two points": (
        job(privacyMasks=[{"polygon": TRIANGLE[:2]}]),
        body("spec.privacyMasks[0].polygon", 2, "should have at least 3 items"),
    ),
    "a zone without an area": (
        job(zones=[zone(polygon=polygon((0.1, 0.1), (0.5, 0.5), (0.9, 0.9), (0.3, 0.3)))]),
        ("spec.zones[0]", FLAT),
    ),
    "a mask without an area": (
        job(privacyMasks=[{"polygon": polygon((0.5, 0), (0.5, 1), (0.5, 0.5))}]),
        ("spec.privacyMasks[0]", FLAT),
    ),
    "pixels": (
        job(zones=[zone(polygon=polygon((0, 0), (640, 0), (1, 1)))]),
        body("spec.zones[0].polygon[1].x", 640, "should be less than or equal to 1"),
    ),
    "beside the picture": (
        job(lines=[line(to={"x": -0.5, "y": 0})]),
        body("spec.lines[0].to.x", -0.5, "should be greater than or equal to 0"),
    ),
    "two zones of one name": (job(zones=[zone(), zone()]), ("spec", "every zone needs a name of its own")),
    "two lines of one name": (job(lines=[line(), line()]), ("spec", "every line needs a name of its own")),
    "a zone without a name": (
        job(zones=[{"polygon": TRIANGLE}]),
        ("spec.zones[0].name", "Required value"),
    ),
    "a line to where it begins": (
        job(lines=[line(to={"x": 0, "y": 0.5})]),
        ("spec.lines[0]", APART),
    ),
    "an unknown direction": (
        job(lines=[line(direction="in")]),
        (
            "spec.lines[0].direction",
            'Unsupported value: "in": supported values: "both", "leftToRight", "rightToLeft"',
        ),
    ),
    "an unknown mask": (
        job(privacyMasks=[{"polygon": TRIANGLE, "mode": "pixels"}]),
        ("spec.privacyMasks[0].mode", 'Unsupported value: "pixels": supported values: "black", "blur"'),
    ),
    "no time to dwell": (
        job(zones=[zone(minDwell=0)]),
        body("spec.zones[0].minDwell", 0, "should be greater than 0"),
    ),
    "no classes": (
        job(zones=[zone(classes=[])]),
        body("spec.zones[0].classes", 0, "should have at least 1 items"),
    ),
    "too many masks": (
        job(privacyMasks=[{"polygon": TRIANGLE}] * 17),
        ("spec.privacyMasks", "Too many: 17: must have at most 16 items"),
    ),
    "zones without tracking": (job(analytics=[{"steps": [DETECT]}], zones=[zone()]), ("spec", UNTRACKED)),
    "lines without tracking": (job(analytics=[{"steps": [DETECT]}], lines=[line()]), ("spec", UNTRACKED)),
}


@pytest.mark.parametrize("spec", TAKEN.values(), ids=TAKEN.keys())
def test_what_can_be_watched_and_hidden_is_taken(server: Server, spec: Json) -> None:
    made = server.create("VideoJob", spec)["spec"]
    for given, stored in zip(spec.get("privacyMasks", []), made.get("privacyMasks", []), strict=True):
        assert stored["mode"] == given.get("mode", "black")


@pytest.mark.parametrize(("spec", "cause"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("VideoJob", spec).causes == {cause}
