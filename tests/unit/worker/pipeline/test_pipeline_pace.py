"""A recorded source is no faster than it is to be, and never made up for."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.clocks import HandClock
from videofleet_worker.pipeline.pace import Pace


async def _times(speed: float, frames: list[tuple[float, float]]) -> list[float]:
    """When each frame is let through, of frames with pts that are asked for so long after the one before."""
    clock, times = HandClock(), []
    pace = Pace(speed, clock)
    for pts, busy in frames:
        clock.now += busy
        await pace.wait(pts)
        times.append(clock.now - 100.0)
    return times


async def test_frames_come_at_the_speed_that_is_wanted() -> None:
    assert await _times(2.0, [(5.0, 0.0), (6.0, 0.0), (7.0, 0.25), (9.0, 0.0)]) == [0.0, 0.5, 1.0, 2.0]


async def test_what_came_late_is_not_made_up_for() -> None:
    assert await _times(1.0, [(0.0, 0.0), (1.0, 5.0), (2.0, 0.0)]) == [0.0, 5.0, 6.0]


async def test_a_time_that_goes_back_is_no_pause() -> None:
    assert await _times(1.0, [(9.0, 0.0), (0.0, 0.0), (1.0, 0.0)]) == [0.0, 0.0, 1.0]


_FRAMES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=2, max_size=20)


@given(st.floats(0.1, 100), _FRAMES)
async def test_never_faster(speed: float, frames: list[tuple[float, float]]) -> None:
    times = await _times(speed, frames)
    for at in range(1, len(frames)):
        assert times[at] - times[at - 1] >= (frames[at][0] - frames[at - 1][0]) / speed - 1e-6
