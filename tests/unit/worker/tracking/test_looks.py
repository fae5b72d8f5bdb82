"""Objects known by what they look like, where their places alone mislead."""

from typing import get_args

import numpy as np
import pytest

from videofleet_worker.tracking.choice import TrackerName, tracker_of
from videofleet_worker.tracking.follower import Follower
from videofleet_worker.tracking.kalman import FloatArray
from videofleet_worker.tracking.looks import blended, look_of
from videofleet_worker.tracking.settings import LookSettings, TrackerSettings

PERIOD = 0.1
NAMES = get_args(TrackerName)
LOOKS = LookSettings("people")
ONE, OTHER = np.eye(8)[:2]


def person(x: float, y: float = 100.0) -> list[float]:
    """Somebody of 40 by 100 pixels, seen from the left edge x."""
    return [x, y, x + 40, y + 100]


def tracker(name: TrackerName, looks: LookSettings | None = LOOKS) -> Follower:
    return tracker_of(name, TrackerSettings(looks=looks))


def ids_of_two_who_turn_round(name: TrackerName, looks: LookSettings | None, speed: int, seed: int) -> list[list[int]]:
    """Two walk up to each other, the one before the other, turn round and walk back: the ids at first and at last."""
    random, following = np.random.default_rng(seed), tracker(name, looks)
    faces = random.normal(size=(2, 64))
    there = 160 // speed
    told = []
    for frame in range(2 * there):
        walked = speed * min(frame, 2 * there - 1 - frame)
        boxes = [person(walked), person(2 * speed * there - walked)]
        in_front = abs(frame - there + 0.5) < 1
        seen = boxes[:1] if in_front else boxes
        vectors = faces[: len(seen)] + random.normal(0, 0.4, (len(seen), 64))
        told.append(following.update(seen, [0.9, 0.8][: len(seen)], [0] * len(seen), frame * PERIOD, vectors).tolist())
    return [told[0], told[-1]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("speed", [4, 8])
@pytest.mark.parametrize("name", NAMES)
def test_two_who_turn_round_where_they_meet_keep_their_ids_by_their_looks(
    name: TrackerName, speed: int, seed: int
) -> None:
    assert ids_of_two_who_turn_round(name, None, speed, seed) == [[1, 2], [2, 1]]
    assert ids_of_two_who_turn_round(name, LOOKS, speed, seed) == [[1, 2], [1, 2]]


@pytest.mark.parametrize("name", NAMES)
def test_looks_go_on_over_a_short_gap(name: TrackerName) -> None:
    """A connection is lost for a second; who was left is on the right now, and both stand where both overlap."""
    for looks, expected in ((LOOKS, [2, 1]), (None, [1, 2])):
        following = tracker(name, looks)
        for frame in range(10):
            following.update([person(100), person(116)], [0.9, 0.8], [0, 0], frame * PERIOD, [ONE, OTHER])
        ids = following.update([person(104), person(112)], [0.9, 0.8], [0, 0], 1.9, [OTHER, ONE])
        assert ids.tolist() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "looks",
    [LookSettings("people", similarity=0.99), LookSettings("people", overlap=0.9)],
    ids=["not alike enough", "not near enough"],
)
def test_looks_count_where_both_limits_are_kept(name: TrackerName, looks: LookSettings) -> None:
    def last(settings: LookSettings) -> list[int]:
        following = tracker(name, settings)
        for frame in range(3):
            following.update([person(100), person(116)], [0.9, 0.8], [0, 0], frame * PERIOD, [ONE, OTHER])
        swapped = [OTHER + 0.3 * ONE, ONE + 0.3 * OTHER]
        return following.update([person(104), person(112)], [0.9, 0.8], [0, 0], 3 * PERIOD, swapped).tolist()

    assert (last(looks), last(LOOKS)) == ([1, 2], [2, 1])


def test_what_has_a_low_score_is_not_learnt() -> None:
    """It is half hidden, and looks like what hides it."""
    following = tracker("bytetrack")
    for frame, score in enumerate([0.9, 0.9, 0.3, 0.3, 0.3]):
        ids = following.update([person(100)], [score], [0], frame * PERIOD, [ONE if score > 0.5 else OTHER])
        assert ids.tolist() == [1]
    assert following.update([person(92), person(108)], [0.9, 0.8], [0, 0], 0.5, [OTHER, ONE]).tolist() == [0, 1]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_without_a_vector_is_known_by_its_place(name: TrackerName) -> None:
    following = tracker(name)
    for frame in range(6):
        vectors = [ONE, None] if frame % 2 else [None, OTHER]
        ids = following.update([person(8.0 * frame), person(400)], [0.9, 0.8], [0, 0], frame * PERIOD, vectors)
        assert ids.tolist() == [1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_vectors_of_another_model_are_learnt_anew_and_the_tracks_go_on(name: TrackerName) -> None:
    following = tracker(name)
    place, score = [person(100)], [0.9]
    vectors: list[tuple[LookSettings | None, FloatArray]] = [
        (LOOKS, ONE),
        (LookSettings("faces"), np.ones(3)),
        (None, ONE),
        (LOOKS, OTHER),
    ]
    told = []
    for frame, (looks, vector) in enumerate(vectors):
        following.use(TrackerSettings(looks=looks))
        told += following.update(place, score, [0], frame * PERIOD, [vector]).tolist()
    assert told == [1] * 4
    # Of what was known before, nothing is left.
    assert following.update([person(96), person(106)], [0.9, 0.8], [0, 0], 0.4, [ONE, OTHER]).tolist() == [0, 1]


def test_a_look_is_a_direction_that_moves_a_little_with_each_new_one() -> None:
    look = look_of([3.0, 4.0])
    assert look is not None
    np.testing.assert_allclose(look, [0.6, 0.8])
    np.testing.assert_allclose(blended(None, look, 0.9), look)
    between = blended(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.75)
    np.testing.assert_allclose(between, np.array([3.0, 1.0]) / np.sqrt(10))
    np.testing.assert_allclose(blended(look, -look, 0.5), -look)


@pytest.mark.parametrize("vector", [None, [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_what_has_no_direction_is_no_look(vector: list[float] | None) -> None:
    assert look_of(vector) is None


def test_as_many_vectors_as_boxes_are_wanted() -> None:
    with pytest.raises(ValueError, match="1 vectors and 2 boxes do not belong together"):
        tracker("bytetrack").update([person(0), person(99)], [0.9, 0.8], [0, 0], 0.0, [ONE])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similarity": 1.5}, "similarity is 1.5"),
        ({"overlap": 0.0}, "overlap is 0.0"),
        ({"memory": 1.0}, "memory is 1.0"),
    ],
)
def test_limits_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LookSettings("people", **wrong)
