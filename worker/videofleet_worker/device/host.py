"""The processor as a device: the kernel's arithmetic in NumPy."""

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from videofleet_worker.device.kernel import scale_of
from videofleet_worker.device.picture import Array, ModelPicture, colour_factors, normalisation
from videofleet_worker.models.manifest import ModelInput


class HostDevice:
    """See Device."""

    kind: Final[Literal["cpu"]] = "cpu"
    number: Final = 0

    def empty(self, shape: tuple[int, ...], kind: str) -> Array:
        """See Device."""
        return np.empty(shape, kind)

    def address(self, array: Array) -> int:
        """See Device."""
        return int(array.ctypes.data)

    def read(self, plane: object) -> Array:
        """See Device."""
        return np.from_dlpack(plane)  # type: ignore[arg-type]  # the stubs want the newest form of the protocol

    def copy(self, target: Array, given: Array) -> None:
        """See Device."""
        np.copyto(target, given)

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """See Device."""
        return np.ascontiguousarray(array)

    def from_host(self, target: Array, given: npt.NDArray[np.generic]) -> None:
        """See Device."""
        np.copyto(target, given)

    def fill(self, tensor: Array, asked: ModelPicture, wanted: ModelInput) -> None:
        """See Device."""
        values = np.moveaxis(picture_tensor(asked, wanted), 0, 0 if wanted.layout == "NCHW" else -1)
        np.copyto(tensor, values, casting="unsafe")

    def engines(self) -> int | None:
        """See Device."""
        return None

    def finish(self) -> None:
        """See Device."""


def picture_tensor(asked: ModelPicture, wanted: ModelInput) -> npt.NDArray[np.float32]:
    """What the kernel writes, [3, height, width], as floats; those for a model of uint8 are rounded."""
    picture, placement = asked.picture, asked.placement
    width, height = placement.inner
    planes = np.stack([_scaled(asked, plane, step) for plane, step in _planes(asked)])
    factors = np.array(colour_factors(picture.matrix, wanted.colour, full_range=picture.full_range), np.float32)
    image = np.full(asked.shape, wanted.padding, np.float32)
    inner = image[:, placement.top : placement.top + height, placement.left : placement.left + width]
    colours = np.tensordot(factors[:, :3], planes, 1) + factors[:, 3, None, None]
    inner[:] = np.clip(colours, 0, 255)[:, : inner.shape[1], : inner.shape[2]]
    mean, deviation = (np.array(one, np.float32)[:, None, None] for one in normalisation(wanted))
    image = (image - mean) / deviation
    return np.clip(np.rint(image), 0, 255) if wanted.type == "uint8" else image


def _planes(asked: ModelPicture) -> tuple[tuple[Array, int], ...]:
    picture = asked.picture
    return (picture.luma, 1), (picture.blue, 2), (picture.red, 2)


def _scaled(asked: ModelPicture, plane: Array, step: int) -> npt.NDArray[np.float32]:
    """A plane that has one sample for `step` pixels of the picture, at the size of the image's inner part."""
    (across, down), region = scale_of(asked), asked.placement.region
    width, height = asked.placement.inner
    columns = weights(plane.shape[1], region[0] / step, across / step, width)
    rows = weights(plane.shape[0], region[1] / step, down / step, height)
    scaled: npt.NDArray[np.float32] = rows @ plane.astype(np.float32) @ columns.T
    return scaled


def weights(length: int, start: float, step: float, count: int) -> npt.NDArray[np.float32]:
    """How much each of `length` samples counts for each of `count` pixels, [count, length]; the rows sum up to 1.

    A triangle over two steps, or over two samples where a step is less than one.
    """
    middle = (start + (np.arange(count, dtype=np.float32) + 0.5) * np.float32(step))[:, None]
    reach = max(step, 1.0)
    at = np.arange(length, dtype=np.float32)[None]
    inside = (at >= np.trunc(middle - reach + 0.5)) & (at < np.trunc(middle + reach + 0.5))
    triangle = np.where(inside, np.maximum(1 - np.abs((at + 0.5 - middle) / reach), 0), 0)
    normal: npt.NDArray[np.float32] = (triangle / triangle.sum(axis=1, keepdims=True)).astype(np.float32)
    return normal
