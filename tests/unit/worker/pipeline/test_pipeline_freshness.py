"""Which live frames are too old for their turn at the models."""

from videofleet_worker.decode.frame import MAX_AGE
from videofleet_worker.pipeline.freshness import Freshness


def a_stream(*, work: float, on_the_way: float = 0.02) -> Freshness:
    """Whose frames have been taking so long at the models, and come this old."""
    freshness = Freshness()
    for _ in range(50):
        freshness.took(work)
    freshness.came(on_the_way)
    return freshness


def test_what_is_told_in_time_is_analysed() -> None:
    assert not a_stream(work=0.1).is_late(MAX_AGE - 0.11)


def test_what_would_be_told_too_late_is_not() -> None:
    assert a_stream(work=0.1).is_late(MAX_AGE - 0.09)


def test_of_a_stream_whose_turns_always_come_late_every_second_frame_is_analysed() -> None:
    freshness = a_stream(work=0.1)
    assert [freshness.is_late(2.0) for _ in range(4)] == [True, False, True, False]


def test_where_the_models_take_too_long_nothing_is_gained_by_waiting_for_another() -> None:
    assert not a_stream(work=MAX_AGE).is_late(0.3)


def test_where_frames_come_too_late_nothing_is_gained_either() -> None:
    assert not a_stream(work=0.2, on_the_way=0.4).is_late(0.45)


def test_the_first_frame_is_analysed() -> None:
    freshness = Freshness()
    freshness.came(0.1)
    assert not freshness.is_late(0.2)


def test_one_hiccup_or_a_step_of_the_clock_is_soon_forgotten() -> None:
    freshness = a_stream(work=0.1)
    freshness.took(3600.0)
    freshness.took(-3600.0)
    for _ in range(10):
        freshness.took(0.1)
    assert not freshness.is_late(0.3)
    assert freshness.is_late(0.45)


def test_where_frames_take_now_more_now_less_it_is_counted_on_that_they_take_more() -> None:
    freshness = a_stream(work=0.2)
    assert not freshness.is_late(0.25)
    for _ in range(50):
        freshness.took(0.25)
        freshness.took(0.15)
    assert freshness.is_late(0.25)
    assert not freshness.is_late(0.15)
