"""Pairs of tracks and detections, beside trying every possibility."""

from itertools import permutations

import numpy as np
import pytest

from videofleet_worker.tracking.assignment import FloatArray, assign


def gain(similarity: FloatArray, least: float, pairs: list[tuple[int, int]]) -> float:
    return sum(float(similarity[row, column]) - least for row, column in pairs)


def best_gain(similarity: FloatArray, least: float) -> float:
    """The most that any set of pairs brings, each above what a pair of similarity `least` would."""
    rows, columns = similarity.shape
    padded = np.full((rows, columns + rows), least)
    padded[:, :columns] = np.where(similarity >= least, similarity, -100)
    choices = permutations(range(columns + rows), rows)
    return max(gain(padded, least, list(enumerate(choice))) for choice in choices)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("least", [0.2, 0.5])
def test_no_other_choice_is_better(seed: int, least: float) -> None:
    random = np.random.default_rng(seed)
    similarity = random.uniform(-0.3, 1, (random.integers(1, 5), random.integers(1, 5)))
    rows, columns = assign(similarity, least)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert (similarity[rows, columns] >= least).all()
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert gain(similarity, least, pairs) == pytest.approx(best_gain(similarity, least))


def test_two_that_want_the_same_are_both_served() -> None:
    similarity = np.array([[0.9, 0.8, 0.0], [0.85, 0.1, 0.0], [0.0, 0.0, 0.4]])
    rows, columns = assign(similarity, 0.2)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0), (2, 2)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_nothing_fits(shape: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(shape), 0.2)
    assert len(rows) == len(columns) == 0
