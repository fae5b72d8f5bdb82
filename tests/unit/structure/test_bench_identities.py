"""What a soak counts as a track id that means two things."""

import pytest

from tests.bench.data.identities import Identities

Frames = list[tuple[int, float, list[int]]]


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        pytest.param([(0, 0.0, [1, 2]), (1, 1.0, [1, 3]), (2, 3.5, [2, 3])], (0, 0, 0), id="nothing wrong"),
        pytest.param([(0, 0.0, [1, 1])], (1, 0, 0), id="two objects with one id"),
        pytest.param([(0, 0.0, [1]), (1, 4.5, [1])], (0, 1, 0), id="back after its track has ended"),
        pytest.param([(0, 0.0, [5]), (1, 1.0, [3])], (0, 1, 0), id="new and not above all before"),
        pytest.param([(4, 1.0, [1]), (4, 2.0, [1]), (5, 2.0, [1])], (0, 0, 2), id="number and time must rise"),
    ],
)
def test_what_is_wrong_with_ids(frames: Frames, found: tuple[int, int, int]) -> None:
    identities = Identities(longest=4.0)
    for frame in frames:
        identities.frame(*frame)
    assert (identities.shared, identities.reused, identities.backwards) == found
    assert identities.frames == len(frames)


@pytest.mark.parametrize(("before", "now"), [(14.901299, 17.901299), (127.995584, 130.995584), (0.7, 3.7)])
def test_a_track_that_was_unseen_for_exactly_as_long_as_it_may_be_is_the_same(before: float, now: float) -> None:
    tally = Identities(3.0)
    tally.frame(0, before, [1])
    tally.frame(1, now, [1])
    assert tally.reused == 0
