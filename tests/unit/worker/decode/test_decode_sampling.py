"""The sampler, case by case; its laws are in tests/property."""

import pytest

from videofleet_worker.decode.sampling import Sampler, Sampling


def taken(sampling: Sampling, times: list[float]) -> list[int]:
    sampler = Sampler(sampling)
    return [index for index, pts in enumerate(times) if sampler.wants(index, pts, index % 5 == 0)]


@pytest.mark.parametrize(
    ("sampling", "times", "expected"),
    [
        pytest.param(Sampling(), [0, 0.1, 0.2], [0, 1, 2], id="all"),
        pytest.param(Sampling("keyframe"), [n / 10 for n in range(11)], [0, 5, 10], id="keyframes"),
        pytest.param(Sampling("interval", 3), [n / 10 for n in range(8)], [0, 3, 6], id="every third"),
        pytest.param(Sampling("fps", 5), [n / 10 for n in range(8)], [0, 2, 4, 6], id="exactly on the grid"),
        pytest.param(Sampling("fps", 10), [n / 10 + 0.03 * (n % 2) for n in range(6)], [0, 1, 2, 3, 4, 5], id="jitter"),
        pytest.param(Sampling("fps", 2), [0, 0.4, 0.6, 0.9, 1.6, 1.7, 2.0], [0, 2, 4, 6], id="a gap, then the grid"),
        pytest.param(Sampling("fps", 2), [7.3, 7.5, 7.8, 8.2, 8.3], [0, 2, 4], id="the grid begins with the first"),
        pytest.param(Sampling("fps", 50), [0, 0.1, 0.2], [0, 1, 2], id="more than there is"),
    ],
)
def test_sampler(sampling: Sampling, times: list[float], expected: list[int]) -> None:
    assert taken(sampling, times) == expected


def test_the_frame_after_a_lost_one_takes_its_place() -> None:
    sampler = Sampler(Sampling("interval", 4))

    assert [index for index in (0, 1, 2, 3, 5, 6, 7, 8) if sampler.wants(index, index / 10, False)] == [0, 5, 8]


@pytest.mark.parametrize(
    ("mode", "value", "said"),
    [
        ("fps", None, "sampling mode fps needs a value above 0, got None"),
        ("fps", -1.0, "got -1.0"),
        ("fps", float("nan"), "got nan"),
        ("interval", 2.5, "needs a whole number, got 2.5"),
        ("all", 3.0, "takes no value, got 3.0"),
    ],
)
def test_what_makes_no_sense_is_refused(mode: str, value: float | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sampling(mode, value)  # type: ignore[arg-type]  # parametrised
