"""When a live picture was taken, and pacing."""

import pytest

from videofleet_worker.decode.arrival import ArrivalClock, Pacer


def test_a_steady_stream_was_taken_when_it_came() -> None:
    clock = ArrivalClock()
    for n in range(20):
        clock.observe(n / 10, 100 + n / 10)

    assert clock.taken_at(1.9) == pytest.approx(101.9)


def test_jitter_is_taken_out() -> None:
    clock = ArrivalClock()
    for n, late in enumerate([0.0, 0.08, 0.02, 0.3, 0.0]):
        clock.observe(n / 10, 100 + n / 10 + late)

    assert clock.taken_at(0.3) == pytest.approx(100.3)


def test_what_piled_up_is_as_old_as_it_is() -> None:
    clock = ArrivalClock()
    for n in range(20):
        clock.observe(n / 10, 102.0)

    assert clock.taken_at(0.0) == pytest.approx(102.0 - 1.9)
    assert clock.taken_at(1.9) == pytest.approx(102.0)


def test_packets_are_steady_from_the_first_that_did_not_wait() -> None:
    clock = ArrivalClock()
    steady = []
    for raw, arrival in [(0.0, 100.0), (0.1, 100.0), (0.2, 100.01), (0.3, 100.1), (0.4, 100.19)]:
        clock.observe(raw, arrival)
        steady.append(clock.steady)

    assert steady == [False, False, False, True, True]


def test_a_stall_makes_old_frames_not_a_new_clock() -> None:
    clock = ArrivalClock()
    for n in range(10):
        clock.observe(n / 10, 100 + n / 10)
    for n in range(10, 30):
        clock.observe(n / 10, 103.0)

    assert clock.taken_at(1.0) == pytest.approx(101.0)


@pytest.mark.parametrize("jump", [-3.0, -1e5, 1e5])
def test_a_new_time_axis_makes_nothing_old(jump: float) -> None:
    clock = ArrivalClock()
    for n in range(10):
        clock.observe(2e5 + n / 10, 100 + n / 10)
    for n in range(10, 20):
        clock.observe(2e5 + jump + n / 10, 100 + n / 10)

    assert clock.taken_at(2e5 + jump + 1.9) == pytest.approx(101.9)


def test_a_delay_that_stays_is_the_way_itself() -> None:
    clock = ArrivalClock()
    for n in range(500):
        clock.observe(n / 10, 100 + n / 10 + (1.0 if n > 100 else 0.0))

    assert clock.taken_at(49.9) == pytest.approx(100 + 49.9 + 1.0)


def test_without_timestamps_the_last_arrival_counts() -> None:
    clock = ArrivalClock()
    clock.observe(None, 100.0)

    assert clock.taken_at(None) == 100.0


def test_a_frame_without_a_timestamp_is_as_old_as_its_neighbour() -> None:
    clock = ArrivalClock()
    for raw in (None, 0.1, 0.2, 0.3):
        clock.observe(raw, 100.0)

    assert clock.taken_at(None) == pytest.approx(99.8)
    assert clock.taken_at(0.2) == pytest.approx(99.9)
    assert clock.taken_at(None) == pytest.approx(99.9)


class FakeSleep:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self, seconds: float) -> None:
        self.now += seconds


def test_lumps_are_spread() -> None:
    time = FakeSleep()
    pacer = Pacer(time)

    assert [pacer.wait(n / 10, time.now) for n in range(5)] == pytest.approx([50.0, 50.1, 50.2, 50.3, 50.4])


def test_pacing_begins_anew_after_a_hole_or_a_jump() -> None:
    time = FakeSleep()
    pacer = Pacer(time)
    pacer.wait(0.0, time.now)
    time.now += 10

    assert pacer.wait(0.1, time.now) == pytest.approx(60.0)
    assert pacer.wait(0.2, time.now) == pytest.approx(60.1)
    assert pacer.wait(9e4, time.now) == pytest.approx(60.1)
    assert pacer.wait(None, 77.0) == 77.0
