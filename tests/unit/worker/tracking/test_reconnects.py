"""Ids over a lost connection, whose frames begin to count anew."""

import pytest

from videofleet_worker.sources.position import RunPosition
from videofleet_worker.tracking.choice import TrackerName, tracker_of
from videofleet_worker.tracking.settings import TrackerSettings

PERSON = [[100.0, 100.0, 140.0, 200.0]]


def ids_around(gap: float, name: TrackerName) -> tuple[list[int], list[int], int]:
    """One who stands there, ten frames before and ten after a connection was lost for so many seconds."""
    position, tracker = RunPosition(), tracker_of(name, TrackerSettings(lost_seconds=2.0))
    told: list[list[int]] = []
    for begins in (50.0, 50.9 + gap):
        position.begin_connection()
        told.append([])
        for frame in range(10):
            _, pts = position.place(frame, frame / 10, begins + frame / 10)
            told[-1] += tracker.update(PERSON, [0.9], [0], pts).tolist()
    return told[0], told[1], tracker.highest_id


@pytest.mark.parametrize("name", ["bytetrack", "ocsort"])
def test_ids_go_on_over_a_gap_no_longer_than_a_track_is_kept(name: TrackerName) -> None:
    assert ids_around(1.9, name) == ([1] * 10, [1] * 10, 1)


@pytest.mark.parametrize("name", ["bytetrack", "ocsort"])
def test_after_a_longer_gap_there_are_new_ids(name: TrackerName) -> None:
    assert ids_around(2.5, name) == ([1] * 10, [0] + [2] * 9, 2)


@pytest.mark.parametrize("name", ["bytetrack", "ocsort"])
def test_streams_have_numbers_of_their_own(name: TrackerName) -> None:
    one, other = (tracker_of(name, TrackerSettings(), next_id=first) for first in (1, 41))
    for frame in range(3):
        assert one.update(PERSON, [0.9], [0], frame / 10).tolist() == [1]
        assert other.update(PERSON, [0.9], [0], frame / 10).tolist() == [41]
