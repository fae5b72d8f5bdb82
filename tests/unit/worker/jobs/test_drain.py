"""The preStop hook of a worker: it waits until no job is left, and not for ever."""

import urllib.error
from collections.abc import Callable

import pytest

from videofleet_worker.drain import wait_for_empty


class _Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def counting(*answers: int) -> Callable[[], int]:
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("answers", "seconds", "left", "waited"),
    [((0,), 60, 0, 0), ((2, 2, 1, 0), 60, 0, 1.5), ((1,), 3, 1, 3), ((1,), 0, 1, 0)],
    ids=["empty at once", "empties", "too late", "no time"],
)
def test_it_waits(answers: tuple[int, ...], seconds: float, left: int, waited: float) -> None:
    time = _Time()
    assert wait_for_empty(counting(*answers), seconds, time, time.sleep) == left
    assert time.now == waited


def test_a_worker_that_does_not_answer_is_not_waited_for() -> None:
    def refuses() -> int:
        raise urllib.error.URLError("refused")

    with pytest.raises(OSError, match="refused"):
        wait_for_empty(refuses, 60, _Time(), lambda seconds: None)
