"""Processors that a process may use."""

import pytest

from videofleet_worker.models.cpus import count_usable_cpus, usable_cpus


@pytest.mark.parametrize(
    ("affinity", "cpu_max", "expected"),
    [
        (8, None, 8),
        (8, "max 100000\n", 8),
        (64, "200000 100000\n", 2),
        (64, "150000 100000\n", 2),
        (64, "5000 100000\n", 1),
        (2, "800000 100000\n", 2),
    ],
)
def test_the_smaller_of_affinity_and_quota_counts(affinity: int, cpu_max: str | None, expected: int) -> None:
    assert usable_cpus(affinity, cpu_max) == expected


def test_there_is_at_least_one_here() -> None:
    assert count_usable_cpus() >= 1
