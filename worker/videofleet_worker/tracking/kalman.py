"""Kalman filters of many tracks at once: where each box is, how fast it moves, and how sure that is.

The model is that of SORT and ByteTrack ("ByteTrack: Multi-Object Tracking by Associating Every Detection Box", Zhang et
al., ECCV 2022, after "Simple Online and Realtime Tracking with a Deep Association Metric", Wojke et al. 2017): a box is
its centre, its width over its height, and its height (x, y, a, h), each moving at a constant speed; uncertainties are
shares of the height.

All its matrices couple a coordinate with its own speed only, so the filter of eight states is exactly four filters of
two, whose arithmetic is a few products of arrays instead of products and inverses of 8x8 matrices.

The paper counts time in frames of 30 a second. Here `steps` is the time passed in such frames, any number above 0, so
that sampled and variable-rate video works; the noise added over several steps is what a constant speed disturbed all
the time gives, equal to the paper's within 2 % at one step.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Filters are one array [5, n, 4]: for each of n tracks and x, y, a, h these five numbers.
VALUE: Final = 0
SPEED: Final = 1
VALUE_VARIANCE: Final = 2
COVARIANCE: Final = 3
SPEED_VARIANCE: Final = 4

STEPS_A_SECOND: Final = 30.0

_HEIGHT = 3
_POSITION_SHARE = 1 / 20
_SPEED_SHARE = 1 / 160
# The aspect has no unit and does not scale with the height: deviations of its value at start and while moving, of its
# speed, and of what is measured.
_ASPECT_VALUE = 1e-2
_ASPECT_SPEED = 1e-5
_ASPECT_MEASURED = 1e-1


def to_measurements(boxes: FloatArray) -> FloatArray:
    """Rows x1, y1, x2, y2 as rows x, y, a, h. Boxes must have a height."""
    size = boxes[:, 2:] - boxes[:, :2]
    measured = np.empty_like(boxes)
    measured[:, :2] = boxes[:, :2] + size / 2
    measured[:, 2] = size[:, 0] / size[:, 1]
    measured[:, _HEIGHT] = size[:, 1]
    return measured


def to_boxes(filters: FloatArray) -> FloatArray:
    """Where the filters believe the boxes to be, as rows x1, y1, x2, y2."""
    values = filters[VALUE]
    half = np.abs(values[:, _HEIGHT:]) * 0.5
    half_size = np.concatenate((np.abs(values[:, 2:3]) * half, half), axis=1)
    return np.concatenate((values[:, :2] - half_size, values[:, :2] + half_size), axis=1)


def initiate(measured: FloatArray) -> FloatArray:
    """Filters of tracks seen for the first time, at rest and unsure of it."""
    filters = np.zeros((5, *measured.shape))
    filters[VALUE] = measured
    filters[VALUE_VARIANCE] = _squared_deviations(measured, 2 * _POSITION_SHARE, _ASPECT_VALUE)
    filters[SPEED_VARIANCE] = _squared_deviations(measured, 10 * _SPEED_SHARE, _ASPECT_SPEED)
    return filters


def predict(filters: FloatArray, steps: float) -> FloatArray:
    """The filters `steps` frames later."""
    value, speed, value_variance, covariance, speed_variance = filters
    position_noise = _squared_deviations(value, _POSITION_SHARE, _ASPECT_VALUE)
    speed_noise = _squared_deviations(value, _SPEED_SHARE, _ASPECT_SPEED)
    later = np.empty_like(filters)
    later[VALUE] = value + steps * speed
    later[SPEED] = speed
    later[VALUE_VARIANCE] = (
        value_variance
        + steps * (2 * covariance + steps * speed_variance)
        + steps * position_noise
        + steps**3 / 3 * speed_noise
    )
    later[COVARIANCE] = covariance + steps * speed_variance + steps**2 / 2 * speed_noise
    later[SPEED_VARIANCE] = speed_variance + steps * speed_noise
    return later


def correct(filters: FloatArray, measured: FloatArray) -> FloatArray:
    """The filters after each has seen its row of `measured`."""
    value, speed, value_variance, covariance, speed_variance = filters
    total_variance = value_variance + _squared_deviations(value, _POSITION_SHARE, _ASPECT_MEASURED)
    value_gain = value_variance / total_variance
    speed_gain = covariance / total_variance
    surprise = measured - value
    corrected = np.empty_like(filters)
    corrected[VALUE] = value + value_gain * surprise
    corrected[SPEED] = speed + speed_gain * surprise
    corrected[VALUE_VARIANCE] = value_variance - value_gain * value_variance
    corrected[COVARIANCE] = covariance - value_gain * covariance
    corrected[SPEED_VARIANCE] = speed_variance - speed_gain * covariance
    return corrected


def _squared_deviations(values: FloatArray, share: float, aspect: float) -> FloatArray:
    """Variances [n, 4]: of x, y and h as a share of the height, of the aspect as given."""
    variances = np.empty_like(values)
    variances[:] = (np.square(values[:, _HEIGHT]) * (share * share))[:, None]
    variances[:, 2] = aspect * aspect
    return variances
