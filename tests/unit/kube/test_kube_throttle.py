"""The rate of writes, on a clock that stands still."""

from __future__ import annotations

import pytest

from tests.unit.kube.helpers import ManualClock
from videofleet_kube.throttle import Throttle, ThrottleSettings

SETTINGS = ThrottleSettings(rate=10.0, floor=1.0, burst=3.0, increase=0.5)


def test_a_burst_then_the_rate() -> None:
    clock = ManualClock()
    throttle = Throttle(SETTINGS, clock)
    for _ in range(3):
        assert throttle.delay() == 0
        throttle.take()
    assert throttle.delay() == pytest.approx(0.1)
    clock.now += throttle.delay()
    assert throttle.delay() == 0


def test_a_rejection_pauses_and_halves_once_for_all_in_flight() -> None:
    clock = ManualClock()
    throttle = Throttle(SETTINGS, clock)
    for _ in range(5):
        throttle.rejected(4.0)
    assert throttle.rate == 5.0
    assert throttle.delay() == pytest.approx(4.0)
    clock.now += 4.0
    assert throttle.delay() == 0
    throttle.rejected(None)
    assert throttle.rate == 2.5
    assert throttle.delay() == pytest.approx(1.0)


def test_the_rate_recovers_step_by_step_and_has_bounds() -> None:
    clock = ManualClock()
    throttle = Throttle(SETTINGS, clock)
    for _ in range(10):
        throttle.rejected(0.0)
        clock.now += 2.0
    assert throttle.rate == 1.0
    throttle.succeeded()
    assert throttle.rate == 1.5
    for _ in range(100):
        throttle.succeeded()
    assert throttle.rate == 10.0


def test_waiting_as_long_as_told_always_suffices() -> None:
    """Rounding must not make the caller wait for ever shorter times."""
    clock = ManualClock(now=123456.789)
    throttle = Throttle(ThrottleSettings(rate=3.0, burst=1.0), clock)
    for _ in range(1000):
        clock.now += throttle.delay()
        assert throttle.delay() == 0
        throttle.take()
