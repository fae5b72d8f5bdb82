"""Which track gets which detection."""

import lap
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NO_PAIRS: IntArray = np.zeros(0, np.int64)


def assign(similarity: FloatArray, least: float) -> tuple[IntArray, IntArray]:
    """The pairs (rows, columns) of [n, m] that together are most similar, none of them less than `least`.

    Leaving a row and a column alone counts as a pair of similarity `least`, as in ByteTrack.
    """
    possible = similarity >= least
    row_choices = possible.sum(axis=1)
    if not row_choices.any():
        return _NO_PAIRS, _NO_PAIRS
    column_choices = possible.sum(axis=0)
    # Most objects stand alone: two that can only be each other's pair need no solver, whose time grows with the cube.
    certain = possible & (row_choices == 1)[:, None] & (column_choices == 1)[None, :]
    rows, columns = certain.nonzero()
    row_choices[rows] = 0
    column_choices[columns] = 0
    open_rows, open_columns = row_choices.nonzero()[0], column_choices.nonzero()[0]
    if not len(open_rows):
        return rows, columns
    more_rows, more_columns = _solve(similarity[open_rows[:, None], open_columns], least)
    return (
        np.concatenate((rows, open_rows[more_rows])),
        np.concatenate((columns, open_columns[more_columns])),
    )


def _solve(similarity: FloatArray, least: float) -> tuple[IntArray, IntArray]:
    """The same by the Jonker-Volgenant algorithm, every pair looked at."""
    _, column_of_row, _ = lap.lapjv(1 - similarity, extend_cost=True, cost_limit=1 - least)
    rows = np.flatnonzero(column_of_row >= 0)
    columns = column_of_row[rows].astype(np.int64)
    # A pair exactly at the limit costs as much as none, and either may come back; so may one a rounding below it.
    good = similarity[rows, columns] >= least
    return rows[good], columns[good]
