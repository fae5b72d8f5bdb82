"""Connected areas of a mask, beside a search from pixel to pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from videofleet_worker.models.textmap import areas


def areas_naively(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> set[tuple[int, int, int, int]]:
    left_over = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    found = set()
    while left_over:
        area, edge = [], [left_over.pop()]
        while edge:
            row, column = edge.pop()
            area.append((row, column))
            near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left_over
            left_over -= near
            edge += near
        rows, columns = [row for row, _ in area], [column for _, column in area]
        found.add((min(columns), min(rows), max(columns) + 1, max(rows) + 1))
    return found


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans()))
def test_areas_are_those_of_a_search_from_pixel_to_pixel(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    assert set(areas(mask)) == areas_naively(mask)
