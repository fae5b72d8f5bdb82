"""JPEG pictures straight from the planes of a decoded frame."""

import numpy as np
import numpy.typing as npt
import simplejpeg

from videofleet_worker.colours import Coefficients, Matrix, bt601_factors

Plane = npt.NDArray[np.uint8]
# Y [h, w], then U and V [h / 2, w / 2], rounded up.
Planes = tuple[Plane, Plane, Plane]

DEFAULT_QUALITY = 85

_BLACK, _WHITE = 16, 235
_GREY, _CHROMA_RANGE = 128, 224
_PARTS = 64


def _table(values: npt.NDArray[np.float64]) -> bytes:
    """What each value becomes."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()


# From broadcast range (16 to 235; chroma 16 to 240) to JPEG's, which uses all 256 values (ITU-T T.871).
_LUMA = _table((np.arange(256.0) - _BLACK) * 255 / (_WHITE - _BLACK))
_CHROMA = _table((np.arange(256.0) - _GREY) * 255 / _CHROMA_RANGE + _GREY)


def full_range_copy(planes: Planes, *, full_range: bool, matrix: Matrix = "bt601") -> Planes:
    """A copy of the planes as JPEG has them: by the matrix of BT.601, with all values from 0 to 255.

    `full_range` tells whether the planes use those already, `matrix` by what they were made.
    """
    if matrix != "bt601":
        return _by_bt601(planes, bt601_factors(matrix, full_range=full_range), 0 if full_range else _BLACK)
    y, u, v = planes
    if full_range:
        return y.copy(), u.copy(), v.copy()
    return _mapped(y, _LUMA), _mapped(u, _CHROMA), _mapped(v, _CHROMA)


def _mapped(plane: Plane, table: bytes) -> Plane:
    """Bytes are translated in a third of the time that NumPy takes to look them up."""
    return np.frombuffer(bytearray(plane).translate(table), np.uint8).reshape(plane.shape)


def _by_bt601(planes: Planes, factors: Coefficients, black: int) -> Planes:
    """Brightness by one matrix has a share of another one's colours in it; that is reckoned at their resolution.

    In 64ths, which fit 16 bits: several times as fast as floats.
    """
    y, u, v = planes
    share, blue, red = (_parts(row[1], _GREY)[u] + _parts(row[2], _GREY)[v] for row in factors)
    share = share.repeat(2, axis=0).repeat(2, axis=1)[: y.shape[0], : y.shape[1]]
    grey = np.int16(_GREY * _PARTS)
    return _whole(_parts(factors[0, 0], black)[y] + share), _whole(blue + grey), _whole(red + grey)


def _parts(factor: float, zero: int) -> npt.NDArray[np.int16]:
    """What each value comes to, in 64ths."""
    return np.rint(_PARTS * factor * (np.arange(256.0) - zero)).astype(np.int16)


def _whole(parts: npt.NDArray[np.int16]) -> Plane:
    rounded: Plane = np.clip((parts + np.int16(_PARTS // 2)) >> 6, 0, 255).astype(np.uint8)
    return rounded


def encode_jpeg(planes: Planes, *, quality: int = DEFAULT_QUALITY) -> bytes:
    """The picture as JPEG (JFIF, 4:2:0) with a quality of 1 to 100; the planes must use all values from 0 to 255.

    Raises ValueError for planes that do not belong together.
    """
    y, u, v = planes
    height, width = y.shape
    expected = ((height + 1) // 2, (width + 1) // 2)
    if u.shape != expected or v.shape != expected:
        raise ValueError(
            f"planes of a {width}x{height} picture must have chroma of {expected}, not {u.shape}, {v.shape}"
        )
    if height % 2 or width % 2:
        # The encoder reads whole chroma samples' worth of luma, which of an odd plane is not all there.
        y = np.pad(y, ((0, height % 2), (0, width % 2)), mode="edge")[:height, :width]
    encoded: bytes = simplejpeg.encode_jpeg_yuv_planes(y, u, v, quality)
    return encoded
