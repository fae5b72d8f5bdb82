"""Which track gets which detection."""

from collections.abc import Iterable, Sequence

import lap
import numpy as np

# A track's row, a detection's column, and how much they are alike.
Pair = tuple[int, int, float]


def assign(pairs: Sequence[Pair], least: float) -> dict[int, int]:
    """The columns that rows get so that all together are most similar; each row and column is used once at most.

    Only `pairs` are possible, none of them less similar than `least`. Leaving a row and a column alone counts as a pair
    of similarity `least`, as in ByteTrack.
    """
    column_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    shared_rows: set[int] = set()
    shared_columns: set[int] = set()
    for row, column, _ in pairs:
        if column_of.setdefault(row, column) != column:
            shared_rows.add(row)
        if row_of.setdefault(column, row) != row:
            shared_columns.add(column)
    if not (shared_rows or shared_columns):
        return column_of  # all stand alone
    contested = [pair for pair in pairs if pair[0] in shared_rows or pair[1] in shared_columns]
    for row, _, _ in contested:
        column_of.pop(row, None)
    certain, open_ = _settled(sorted(contested, key=_rank), least)
    found = column_of | certain
    return found | _solve(open_, least) if open_ else found


def _rank(pair: Pair) -> tuple[float, int, int]:
    """The most similar first; of equals the oldest track's, then the most confident detection's."""
    row, column, similarity = pair
    return -similarity, row, column


def _settled(pairs: Iterable[Pair], least: float) -> tuple[dict[int, int], list[Pair]]:
    """Of pairs, best first, those that are in a best choice for certain, and the pairs that are still open.

    Taking a pair shuts out at most one other of its row and one of its column: one that brings as much as the best of
    these two together is never the wrong one.
    """
    of_row: dict[int, list[Pair]] = {}
    of_column: dict[int, list[Pair]] = {}
    ordered = list(pairs)
    for pair in ordered:
        of_row.setdefault(pair[0], []).append(pair)
        of_column.setdefault(pair[1], []).append(pair)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for pair in ordered:
        row, column, similarity = pair
        if row in found or column in taken:
            continue
        rivals = 0.0
        for other in of_row[row]:
            if other is not pair and other[1] not in taken:
                rivals = other[2] - least
                break
        for other in of_column[column]:
            if other is not pair and other[0] not in found:
                rivals += other[2] - least
                break
        if similarity - least >= rivals:
            found[row] = column
            taken.add(column)
    return found, [pair for pair in ordered if pair[0] not in found and pair[1] not in taken]


def _solve(pairs: Iterable[Pair], least: float) -> dict[int, int]:
    """The same by the Jonker-Volgenant algorithm, whose time grows with the cube."""
    similarity = {(row, column): similarity for row, column, similarity in pairs}
    rows = sorted({row for row, _ in similarity})
    columns = sorted({column for _, column in similarity})
    # What is impossible costs more than leaving both alone.
    cost = np.array([[1 - similarity.get((row, column), least - 1) for column in columns] for row in rows])
    _, column_of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1 - least)
    found = ((row, columns[place]) for row, place in zip(rows, column_of_row.tolist(), strict=True) if place >= 0)
    return {row: column for row, column in found if (row, column) in similarity}
