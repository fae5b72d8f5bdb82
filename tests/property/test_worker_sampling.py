"""Laws of sampling, of the timeline and of the numbers of frames."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from videofleet_worker.decode.numbering import FrameNumbers
from videofleet_worker.decode.sampling import Sampler, Sampling
from videofleet_worker.decode.timeline import Timeline

_gaps = st.lists(st.integers(1, 400), min_size=1, max_size=200)
_rates = st.sampled_from([0.5, 1, 2, 5, 7, 12.5, 25])


def _times(gaps: list[int]) -> list[float]:
    """Growing timestamps in seconds from gaps in milliseconds."""
    total, times = 0, []
    for gap in gaps:
        times.append(total / 1000)
        total += gap
    return times


@given(_gaps, _rates)
def test_fps_takes_the_first_frame_at_or_after_every_due_time(gaps: list[int], rate: float) -> None:
    times = _times(gaps)
    sampler = Sampler(Sampling("fps", rate))
    taken = [pts for index, pts in enumerate(times) if sampler.wants(index, pts, False)]

    due = {k / rate for k in range(math.floor(times[-1] * rate + 1e-6) + 1)}
    first_after = {min(pts for pts in times if pts >= moment - 1e-6 / rate) for moment in due}
    assert taken == sorted(first_after)


@given(_gaps, _rates)
def test_fps_is_never_exceeded(gaps: list[int], rate: float) -> None:
    times = _times(gaps)
    sampler = Sampler(Sampling("fps", rate))
    taken = sum(sampler.wants(index, pts, False) for index, pts in enumerate(times))

    assert taken <= math.floor(times[-1] * rate + 1e-6) + 1


@given(st.integers(1, 50), st.integers(0, 300), st.sets(st.integers(0, 300)))
def test_interval_takes_one_frame_of_every_group(n: int, last: int, lost: set[int]) -> None:
    sampler = Sampler(Sampling("interval", n))
    indexes = [index for index in range(last + 1) if index not in lost]
    taken = [index for index in indexes if sampler.wants(index, index / 10, False)]

    if indexes:
        assert taken == sorted(
            {min(i for i in indexes if (i - indexes[0]) // n == (index - indexes[0]) // n) for index in indexes}
        )


_raw = st.none() | st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(st.tuples(_raw, st.floats(0, 10)), min_size=1), st.booleans())
def test_the_timeline_only_ever_grows(steps: list[tuple[float | None, float]], live: bool) -> None:
    timeline = Timeline(0.04, live=live)
    arrival, placed = 0.0, []
    for raw, elapsed in steps:
        arrival += elapsed
        placed.append(timeline.place(raw, arrival))

    assert placed[0] == 0
    assert all(earlier < later for earlier, later in itertools.pairwise(placed))


@given(st.lists(st.booleans(), max_size=60))
def test_numbers_do_not_shift_when_packets_get_lost(survives: list[bool]) -> None:
    numbers = FrameNumbers()
    shown: list[int] = []
    lost = 0
    for index, alive in enumerate(survives):
        lost += numbers.received(index / 10)
        if alive:
            number, before = numbers.shown(index / 10)
            shown.append(number)
            lost += before
    lost += numbers.ended()

    assert shown == [index for index, alive in enumerate(survives) if alive]
    assert lost == survives.count(False)
