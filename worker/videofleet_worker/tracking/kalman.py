"""Kalman filters of many tracks at once: where each box is, how fast it moves, and how sure that is.

The model is that of SORT and ByteTrack ("ByteTrack: Multi-Object Tracking by Associating Every Detection Box", Zhang et
al., ECCV 2022, after "Simple Online and Realtime Tracking with a Deep Association Metric", Wojke et al. 2017): a box is
its centre, its width over its height, and its height (x, y, a, h), each moving at a constant speed; uncertainties are
shares of the height.

All its matrices couple a coordinate with its own speed only, so the filter of eight states is exactly four filters of
two. A track's filter is one row: the four values, their speeds, and the three variances of each. Means and variances
after some time are sums of these and of the noise, which is a share of h squared or constant: with h squared and 1 in
the row too, and a times h for the width, time passes by one product with a matrix, and boxes come by another. Each call
of NumPy costs about what the arithmetic of a hundred tracks does.

The paper counts time in frames of 30 a second. Here `steps` is the time passed in such frames, any number above 0, so
that sampled and variable-rate video works; the noise added over several steps is what a constant speed disturbed all
the time gives, equal to the paper's within 2 % at one step.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from videofleet_worker.boxes import edges_of

FloatArray = npt.NDArray[np.float64]

# Filters are one array [n, 23], a column of which lies together in memory: most calls look at a few columns of all
# rows. In each of the first five groups are x, y, a, h.
VALUE: Final = slice(0, 4)
SPEED: Final = slice(4, 8)
VALUE_VARIANCE: Final = slice(8, 12)
COVARIANCE: Final = slice(12, 16)
SPEED_VARIANCE: Final = slice(16, 20)
SPEED_OF_HEIGHT: Final = 7

STEPS_A_SECOND: Final = 30.0

_ASPECT, _HEIGHT = 2, 3
_PRODUCTS = slice(20, 22)
_WIDTH, _SQUARE, _ONE, _COLUMNS = 20, 21, 22, 23
_GAIN_SOURCES = slice(8, 16)
_MEANS = slice(0, 8)

_POSITION_SHARE = 1 / 20
_SPEED_SHARE = 1 / 160
# The aspect has no unit and does not scale with the height: deviations of its value at start and while moving, of its
# speed, and of what is measured.
_ASPECT_VALUE = 1e-2
_ASPECT_SPEED = 1e-5
_ASPECT_MEASURED = 1e-1


def to_measurements(boxes: FloatArray) -> FloatArray:
    """Rows x1, y1, x2, y2 as rows x, y, a, h. They must have a height."""
    edges = edges_of(boxes)
    return measurements(edges, edges[2:] + edges[:2])


def measurements(edges: FloatArray, size: FloatArray) -> FloatArray:
    """The same of boxes given by their edges [4, n] and their widths and heights [2, n]."""
    measured = np.empty_like(edges)
    np.multiply(size, 0.5, out=measured[:2])
    measured[:2] -= edges[:2]
    np.divide(size[0], size[1], out=measured[_ASPECT])
    measured[_HEIGHT] = size[1]
    return measured.T


def to_boxes(filters: FloatArray) -> FloatArray:
    """Where the filters believe the boxes to be, as rows x1, y1, x2, y2; without area where they believe in none."""
    boxes = to_edges(filters)
    np.negative(boxes[:2], out=boxes[:2])
    return boxes.T


def to_edges(filters: FloatArray) -> FloatArray:
    """The same as edges, [4, n]."""
    return _TO_EDGES @ filters.T


def initiate(measured: FloatArray) -> FloatArray:
    """Filters of tracks seen for the first time, at rest and unsure of it."""
    filters = np.zeros((_COLUMNS, len(measured))).T
    filters[:, VALUE] = measured
    filters[:, VALUE_VARIANCE] = _squared_deviations(measured, 2 * _POSITION_SHARE, _ASPECT_VALUE)
    filters[:, SPEED_VARIANCE] = _squared_deviations(measured, 10 * _SPEED_SHARE, _ASPECT_SPEED)
    filters[:, _ONE] = 1
    return _with_products(filters)


def predict(filters: FloatArray, steps: float) -> FloatArray:
    """The filters `steps` frames later."""
    # A frame's time is a number of microseconds at best; so rounded, nearly all frames of a clip are equally far apart.
    return _with_products((_passing(round(steps, 5)) @ filters.T).T)


def correct(filters: FloatArray, measured: FloatArray, missed: Sequence[int] = ()) -> FloatArray:
    """The filters after each has seen its row of `measured`; those that have `missed` it are as they were."""
    columns = filters.T
    corrected = columns.copy()
    sources = columns[_GAIN_SOURCES].reshape(2, 4, -1)
    variance = _TOTAL_VARIANCE @ columns
    if missed:
        # What is known with no certainty at all teaches nothing.
        variance[:, missed] = np.inf
    gains = sources / variance
    surprise = measured.T - columns[VALUE]
    means = corrected[_MEANS].reshape(2, 4, -1)
    means += gains * surprise
    corrected[SPEED_VARIANCE] -= gains[1] * columns[COVARIANCE]
    variances = corrected[_GAIN_SOURCES].reshape(2, 4, -1)
    variances -= gains[0] * sources
    return _with_products(corrected.T)


def _with_products(filters: FloatArray) -> FloatArray:
    """The same array, its last columns brought to what the others say."""
    columns = filters.T
    np.multiply(columns[_ASPECT : _HEIGHT + 1], columns[_HEIGHT], out=columns[_PRODUCTS])
    return filters


@lru_cache(maxsize=256)
def _passing(steps: float) -> FloatArray:
    """The matrix that moves filters, each a column, on by so many frames."""
    matrix = np.zeros((_COLUMNS, _COLUMNS))
    matrix[_ONE, _ONE] = 1
    for coordinate in range(4):
        value, speed, variance, covariance, speed_variance = range(coordinate, _PRODUCTS.start, 4)
        matrix[[value, speed], value] = 1, steps
        matrix[speed, speed] = 1
        matrix[[variance, covariance, speed_variance], variance] = 1, 2 * steps, steps * steps
        matrix[[covariance, speed_variance], covariance] = 1, steps
        matrix[speed_variance, speed_variance] = 1
        source, position_noise, speed_noise = _noise(coordinate)
        matrix[source, variance] = steps * position_noise + steps**3 / 3 * speed_noise
        matrix[source, covariance] = steps**2 / 2 * speed_noise
        matrix[source, speed_variance] = steps * speed_noise
    return np.ascontiguousarray(matrix.T)


def _noise(coordinate: int) -> tuple[int, float, float]:
    """The column that the noise of a coordinate grows with, and its variances of value and speed a step."""
    if coordinate == _ASPECT:
        return _ONE, _ASPECT_VALUE**2, _ASPECT_SPEED**2
    return _SQUARE, _POSITION_SHARE**2, _SPEED_SHARE**2


def _edges_matrix() -> FloatArray:
    matrix = np.zeros((4, _COLUMNS))
    matrix[[0, 2], 0] = matrix[[1, 3], 1] = -1, 1
    matrix[[0, 2], _WIDTH] = matrix[[1, 3], _HEIGHT] = 0.5
    return matrix


def _total_variance_matrix() -> FloatArray:
    """From filters to the variances of what will be measured: their own and those of measuring."""
    matrix = np.zeros((_COLUMNS, 4))
    matrix[VALUE_VARIANCE] = np.eye(4)
    matrix[_SQUARE] = _POSITION_SHARE**2
    matrix[_SQUARE, _ASPECT] = 0
    matrix[_ONE, _ASPECT] = _ASPECT_MEASURED**2
    return np.ascontiguousarray(matrix.T)


def _squared_deviations(values: FloatArray, share: float, aspect: float) -> FloatArray:
    """Variances [n, 4]: of x, y and h as a share of the height, of the aspect as given."""
    variances = np.empty_like(values)
    variances[:] = (np.square(values[:, _HEIGHT]) * (share * share))[:, None]
    variances[:, _ASPECT] = aspect * aspect
    return variances


_TO_EDGES = _edges_matrix()
_TOTAL_VARIANCE = _total_variance_matrix()
