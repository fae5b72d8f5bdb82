"""Timestamps of the run."""

import pytest

from videofleet_worker.decode.timeline import Timeline

Stamps = list[tuple[float | None, float]]


@pytest.mark.parametrize(
    ("live", "stamps", "expected"),
    [
        pytest.param(False, [(5.0, 0), (5.1, 0), (5.2, 0)], [0, 0.1, 0.2], id="begins at 0"),
        pytest.param(False, [(0.0, 0), (None, 0), (0.2, 0)], [0, 0.1, 0.2], id="a missing one takes the usual step"),
        pytest.param(False, [(None, 0), (None, 0), (None, 0)], [0, 0.1, 0.2], id="all missing"),
        pytest.param(True, [(None, 0), (7.0, 0.1), (7.1, 0.2)], [0, 0.1, 0.2], id="the first missing"),
        pytest.param(False, [(0.0, 0), (0.1, 0), (0.1, 0), (0.2, 0)], [0, 0.1, 0.101, 0.2], id="repeated"),
        pytest.param(False, [(0.0, 0), (0.2, 0), (0.1, 0), (0.3, 0)], [0, 0.2, 0.201, 0.3], id="a small step back"),
        pytest.param(False, [(90.0, 0), (90.1, 0), (0.0, 0), (0.1, 0)], [0, 0.1, 0.2, 0.3], id="recorded, begins anew"),
        pytest.param(False, [(0.0, 0), (3600.0, 0), (3600.1, 0)], [0, 3600, 3600.1], id="recorded, an hour left out"),
        pytest.param(
            True, [(90.0, 0), (90.1, 0.1), (0.0, 2.1), (0.1, 2.2)], [0, 0.1, 2.1, 2.2], id="live, begins anew"
        ),
        pytest.param(True, [(0.0, 0), (0.1, 0.1), (9e4, 0.2), (9e4 + 0.1, 0.3)], [0, 0.1, 0.2, 0.3], id="live, jumps"),
        pytest.param(True, [(0.0, 0), (0.1, 0.1), (3.1, 3.1)], [0, 0.1, 3.1], id="live, a real gap"),
    ],
)
def test_timeline(live: bool, stamps: Stamps, expected: list[float]) -> None:
    timeline = Timeline(0.1, live=live)

    assert [timeline.place(raw, arrival) for raw, arrival in stamps] == pytest.approx(expected)


@pytest.mark.parametrize("live", [True, False])
def test_what_is_passed_by_lies_before_a_break(live: bool) -> None:
    """As where keyframes alone are placed: of ten frames the first, and then the timestamps begin anew."""
    timeline = Timeline(0.1, live=live)
    placed = [timeline.place(50.0, 0.0)]
    # As they are decoded, not as they are shown.
    for order in (1, 4, 2, 3, 7, 5, 6, 9, 8):
        timeline.pass_by(50.0 + order / 10, order / 10)
    placed.append(timeline.place(0.0, 1.0))
    timeline.pass_by(None, 1.1)
    timeline.pass_by(1e9 if live else 90_000.0, 1.2)
    placed.append(timeline.place(1.0, 2.0))

    assert placed == pytest.approx([0.0, 1.0, 2.0])
