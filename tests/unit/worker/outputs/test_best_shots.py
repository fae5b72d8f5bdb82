"""Which picture of a track is the best one, and until when it is kept."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videofleet_worker.outputs.shots import BestShots, Candidate, Moment, Picture, Shot, area_around, cut_out, quality

SIZE = (640, 480)
PICTURE = Picture((np.zeros((14, 14), np.uint8), np.zeros((7, 7), np.uint8), np.zeros((7, 7), np.uint8)))


def _candidate(track_id: int, good: float) -> Candidate:
    return Candidate(track_id, "person", 0.9, (10, 10, 20, 20), good)


def _shot(one: Candidate, pts: float = 0.0) -> Shot:
    moment = Moment(0, pts, pts)
    return Shot(one.track_id, one.label, one.confidence, one.quality, one.box, (8, 8, 22, 22), SIZE, moment, PICTURE)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(((100, 100, 200, 300), 0.8), ((100, 100, 150, 200), 0.8), id="larger"),
        pytest.param(((100, 100, 200, 300), 0.8), ((100, 100, 200, 300), 0.5), id="surer"),
        pytest.param(((100, 100, 200, 300), 0.8), ((0, 100, 110, 300), 0.8), id="not cut at the left"),
        pytest.param(((100, 100, 200, 300), 0.8), ((100, 279, 210, 479.5), 0.8), id="not cut at the bottom"),
    ],
)
def test_a_better_picture(
    better: tuple[tuple[float, float, float, float], float], worse: tuple[tuple[float, float, float, float], float]
) -> None:
    assert quality(*better, SIZE) > quality(*worse, SIZE)


def test_quality_is_the_confidence_times_the_side_of_an_equal_square() -> None:
    assert quality((100, 100, 125, 200), 0.5, SIZE) == 25.0
    assert quality((0, 100, 25, 200), 0.5, SIZE) == 12.5


@given(
    st.tuples(*[st.floats(-50, 700)] * 4),
    st.integers(1, 640),
    st.integers(1, 480),
)
def test_what_is_cut_out_lies_in_the_frame_and_holds_the_box(
    sides: tuple[float, float, float, float], width: int, height: int
) -> None:
    box = min(sides[0], sides[2]), min(sides[1], sides[3]), max(sides[0], sides[2]), max(sides[1], sides[3])
    left, top, right, bottom = area_around(box, (width, height))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left % 2 == top % 2 == 0
    assert left <= max(0.0, box[0]) or left >= width - 2
    assert right >= min(float(width), box[2])
    assert bottom >= min(float(height), box[3])


def test_the_picture_shows_the_part_of_the_frame() -> None:
    y = np.tile(np.arange(64, dtype=np.uint8) * 3, (49, 1))
    chroma = np.full((25, 32), 128, np.uint8)
    jpeg = cut_out((y, chroma, chroma), (20, 10, 51, 49), full_range=True).jpeg()
    seen = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
    assert seen.shape == (39, 31)
    assert np.abs(seen.astype(int) - y[10:49, 20:51]).max() <= 6


def test_a_picture_is_taken_again_only_where_it_is_clearly_better() -> None:
    shots = BestShots()
    assert shots.see([_candidate(1, 10.0)], 0.0) == [_candidate(1, 10.0)]
    shots.keep(_shot(_candidate(1, 10.0)))
    assert shots.see([_candidate(1, 10.2)], 0.1) == []
    assert shots.see([_candidate(1, 11.0), _candidate(2, 1.0)], 0.2) == [_candidate(1, 11.0), _candidate(2, 1.0)]


def test_a_track_ends_when_it_is_not_seen_for_longer_than_the_tracker_waits() -> None:
    shots = BestShots()
    for pts in (0.0, 1.0):
        shots.see([_candidate(1, 10.0)], pts)
    shots.keep(_shot(_candidate(1, 10.0)))
    shots.see([_candidate(2, 10.0)], 3.0)
    assert shots.ended(3.0, 2.0) == []
    assert [one.track_id for one in shots.ended(3.1, 2.0)] == [1]
    assert shots.ended(9.0, 2.0) == [], "the second one has no picture"
    assert shots.keep(_shot(_candidate(2, 10.0))) == []
    assert shots.all() == [], "a picture that comes after the end of its track is nobody's"


def test_of_too_many_pictures_the_one_renewed_longest_ago_is_stored_early_and_its_quality_remembered() -> None:
    shots = BestShots(most=2)
    three = [_candidate(number, 10.0) for number in (1, 2, 3)]
    shots.see(three, 0.0)
    assert [shots.keep(_shot(one)) for one in three[:2]] == [[], []]
    assert shots.keep(_shot(_candidate(1, 12.0))) == []
    assert [one.track_id for one in shots.keep(_shot(three[2]))] == [2]
    assert [(one.track_id, one.picture) for one in shots.all()] == [(2, None), (1, PICTURE), (3, PICTURE)]
    assert shots.see([_candidate(2, 10.1)], 0.1) == []
    assert shots.see([_candidate(2, 11.0)], 0.2) != []
