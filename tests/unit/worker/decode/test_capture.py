"""When a live picture was taken: what a camera's clock says, and whether that is believed."""

import struct

import pytest

from videofleet_worker.decode.capture import CameraClock, Dating, reference_time


@pytest.mark.parametrize(
    ("reference", "captured"),
    [
        (struct.pack("=qi4x", 1_700_000_000_250_000, 24), 1_700_000_000.25),
        (struct.pack("=qi4x", 1_700_000_000_250_000, 2), None),
        (struct.pack("=qi4x", -5, 24), None),
        (b"short", None),
    ],
    ids=["of capture", "of something else", "before all time", "damaged"],
)
def test_the_reference_time_of_a_packet(reference: bytes, captured: float | None) -> None:
    assert reference_time(reference) == captured


def test_the_first_report_dates_what_came_before_it_too() -> None:
    clock = CameraClock()
    clock.observe(0.0, None)
    assert clock.captured_at(0.0) is None
    clock.observe(0.1, 1000.1)
    clock.observe(0.2, 1000.2)
    assert [clock.captured_at(raw) for raw in (0.0, 0.1, 0.2)] == pytest.approx([1000.0, 1000.1, 1000.2])
    assert clock.captured_at(None) is None


def test_a_new_axis_of_timestamps_waits_for_a_new_report() -> None:
    clock = CameraClock()
    clock.observe(0.1, 1000.1)
    clock.observe(None, None)
    clock.observe(500.0, None)
    assert clock.captured_at(500.0) is None


def test_a_frame_was_taken_when_its_camera_says() -> None:
    dating = Dating()
    assert dating.date(1000.0, 1000.3) == 1000.0
    assert (dating.clock, dating.delay) == ("camera", pytest.approx(0.3))


def test_a_camera_that_says_nothing() -> None:
    dating = Dating()
    assert dating.date(None, 1000.3) == 1000.3
    assert (dating.clock, dating.delay) == ("arrival", 0.0)


def test_a_clock_that_is_a_little_fast_dates_nothing_in_the_future() -> None:
    dating = Dating()
    assert dating.date(1000.4, 1000.3) == 1000.3
    assert dating.clock == "camera"


@pytest.mark.parametrize("off", [-3600.0, -2.1, 0.6, 86_400.0])
def test_a_clock_that_is_wrong_is_not_believed(off: float) -> None:
    dating = Dating()
    assert dating.date(1000.0 + off, 1000.0) == 1000.0
    assert (dating.clock, dating.delay) == ("implausible", pytest.approx(-off))


@pytest.mark.parametrize("pace", [0.99, 1.01], ids=["slow", "fast"])
def test_a_clock_that_runs_at_another_pace_is_left_sooner_or_later(pace: float) -> None:
    dating = Dating()
    dated = [dating.date(1000.0 + second * pace, 1000.1 + second) for second in range(600)]
    assert dating.clock == "implausible"
    assert dated == sorted(dated)


def test_a_clock_that_was_set_right_is_believed_after_a_while() -> None:
    dating = Dating()
    dating.date(0.0, 1000.0)
    assert dating.date(1030.0, 1030.2) == 1030.2
    assert dating.clock == "implausible"
    assert dating.date(1060.0, 1060.2) == 1060.0
    assert dating.clock == "camera"
