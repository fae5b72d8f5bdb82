"""Pairs of tracks and detections, beside trying every possibility."""

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from videofleet_worker.tracking.assignment import Pair, assign

FloatArray = npt.NDArray[np.float64]


def pairs_of(similarity: FloatArray, least: float) -> list[Pair]:
    rows, columns = np.nonzero(similarity >= least)
    return list(zip(rows.tolist(), columns.tolist(), similarity[rows, columns].tolist(), strict=True))


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
    similarity = random.uniform(-0.3, 1, (random.integers(1, 6), random.integers(1, 6)))
    found = assign(pairs_of(similarity, least), least)
    assert len(set(found.values())) == len(found)
    pairs = list(found.items())
    assert all(similarity[pair] >= least for pair in pairs)
    assert gain(similarity, least, pairs) == pytest.approx(best_gain(similarity, least))


def test_two_that_want_the_same_are_both_served() -> None:
    similarity = np.array([[0.9, 0.8, 0.0], [0.85, 0.1, 0.0], [0.0, 0.0, 0.4]])
    assert assign(pairs_of(similarity, 0.2), 0.2) == {0: 1, 1: 0, 2: 2}


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_nothing_fits(shape: tuple[int, int]) -> None:
    assert assign(pairs_of(np.zeros(shape), 0.2), 0.2) == {}


def test_of_equals_the_older_and_the_more_confident_are_taken() -> None:
    assert assign(pairs_of(np.array([[0.5], [0.5], [0.5]]), 0.2), 0.2) == {0: 0}
    assert assign(pairs_of(np.array([[0.5, 0.5, 0.5]]), 0.2), 0.2) == {0: 0}
