"""Tables with a row for each object that is known and a column for each region."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from videofleet_worker.analytics.geometry import BoolArray

Value = TypeVar("Value", bound=np.generic)


def with_rows(table: npt.NDArray[Value], count: int) -> npt.NDArray[Value]:
    """The table with so many rows of zeros after it."""
    return np.concatenate((table, np.zeros((count, *table.shape[1:]), table.dtype)))


def with_columns(table: npt.NDArray[Value], sources: Sequence[int | None]) -> npt.NDArray[Value]:
    """The table with these of its columns, in this order; zeros for None."""
    made: npt.NDArray[Any] = np.zeros((len(table), len(sources)), table.dtype)
    for column, source in enumerate(sources):
        if source is not None:
            made[:, column] = table[:, source]
    return made


def without_rows(table: npt.NDArray[Value], gone: BoolArray) -> npt.NDArray[Value]:
    """The table without the rows marked."""
    return table[~gone]
