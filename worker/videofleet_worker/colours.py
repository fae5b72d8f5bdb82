"""How colours are coded: by which matrix brightness and colour were made of red, green and blue, and back. Pure."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Matrix = Literal["bt601", "bt709", "bt2020"]
Coefficients = npt.NDArray[np.float64]

# The share of red and of blue in brightness (ITU-R BT.601-7, BT.709-6 and BT.2020-2).
_SHARES: Final[dict[Matrix, tuple[float, float]]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}
_HD_SIDE: Final = 720


def usual_matrix(width: int, height: int) -> Matrix:
    """What a video of this size was most likely made by that does not say: BT.709 from 720 lines on, also turned."""
    return "bt709" if min(width, height) >= _HD_SIDE else "bt601"


def rgb_factors(matrix: Matrix, *, full_range: bool) -> list[list[float]]:
    """For red, green and blue the factors of Y, U and V and what is added: values 0 to 255 come out.

    `full_range`: whether 0 to 255 go in, instead of 16 to 235 and, of U and V, 16 to 240.
    """
    red, blue = _SHARES[matrix]
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    to_red, to_blue = 2 * (1 - red) * chroma, 2 * (1 - blue) * chroma
    rows = [
        [luma, 0.0, to_red],
        [luma, -to_blue * blue / green, -to_red * red / green],
        [luma, to_blue, 0.0],
    ]
    return [[*row, -row[0] * black - 128 * (row[1] + row[2])] for row in rows]


def bt601_factors(matrix: Matrix, *, full_range: bool) -> Coefficients:
    """[3, 3] from Y less black, U and V less grey, by any matrix, to those that JPEG has: BT.601, 0 to 255."""
    own, target = (
        np.array(rgb_factors(one, full_range=full))[:, :3] for one, full in ((matrix, full_range), ("bt601", True))
    )
    factors: Coefficients = np.linalg.solve(target, own)
    return factors
