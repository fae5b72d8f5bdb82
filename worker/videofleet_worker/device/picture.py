"""A decoded picture on a device, and the part of it that a model looks at."""

from dataclasses import dataclass
from typing import Any, Literal

from videofleet_worker.colours import Matrix, rgb_factors
from videofleet_worker.device.placement import Placement
from videofleet_worker.models.manifest import ModelInput

Array = Any
"""An array of the device: NumPy's, or CuPy's."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of 4:2:0, uint8: Y [H, W], U and V [H / 2, W / 2], rounded up.

    U and V may be every other byte of one plane, as in NV12. full_range: whether values use 0 to 255 instead of 16 to
    235. matrix: how its colours were made.
    """

    luma: Array
    blue: Array
    red: Array
    full_range: bool = False
    matrix: Matrix = "bt601"

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.luma.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.luma.shape[0])


@dataclass(frozen=True, eq=False)
class ModelPicture:
    """What a model is to look at: the part of a picture that its placement names. `shape` is that of the image,
    [3, height, width]."""

    picture: Picture
    placement: Placement

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the model's image."""
        width, height = self.placement.size
        return 3, height, width


def colour_factors(matrix: Matrix, colour: Literal["RGB", "BGR"], *, full_range: bool) -> list[list[float]]:
    """For each channel, in the model's order, the factors of Y, U and V and what is added: values 0 to 255 come out."""
    factors = rgb_factors(matrix, full_range=full_range)
    return factors if colour == "RGB" else factors[::-1]


def normalisation(wanted: ModelInput) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """What is subtracted and divided by; 0 and 1 where the model says nothing."""
    return wanted.mean or (0.0, 0.0, 0.0), wanted.deviation or (1.0, 1.0, 1.0)
