"""The kernel that makes a model's tensor from pictures: its source, and what it is told of each picture."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from videofleet_worker.device.picture import Array, ModelPicture, Picture, colour_factors, normalisation
from videofleet_worker.models.manifest import ModelInput

NAME: Final = "to_tensor"
BLOCK: Final = (32, 8)
"""Threads of a block, across and down."""

JOB: Final = np.dtype(
    [
        *((name, np.int32) for name in ("width", "height", "luma_row", "chroma_row", "chroma_step")),
        *((name, np.float32) for name in ("left", "top", "across", "down")),
        *((name, np.int32) for name in ("image_width", "image_height", "at_x", "at_y", "inner_width", "inner_height")),
        *((name, np.int32) for name in ("pixel_stride", "row_stride", "channel_stride")),
        ("padding", np.float32),
        ("colour", np.float32, (3, 4)),
        ("mean", np.float32, 3),
        ("deviation", np.float32, 3),
    ]
)
"""`struct Job` of the source."""


def source() -> str:
    """The CUDA C of the kernel; ELEMENT must be defined as the bytes of a value of the tensor."""
    return Path(__file__).with_name("pictures.cu").read_text(encoding="ascii")


def grid(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Blocks, across and down, for an image [3, height, width]."""
    return -(-shape[2] // BLOCK[0]), -(-shape[1] // BLOCK[1])


def job(asked: ModelPicture, wanted: ModelInput) -> npt.NDArray[Any]:
    """`struct Job`, an array of one."""
    picture, placement = asked.picture, asked.placement
    told = np.zeros(1, JOB)
    told["width"], told["height"] = picture.width, picture.height
    told["luma_row"], told["chroma_row"], told["chroma_step"] = _steps(picture)
    told["left"], told["top"] = placement.region[:2]
    told["across"], told["down"] = scale_of(asked)
    told["image_width"], told["image_height"] = placement.size
    told["at_x"], told["at_y"] = placement.left, placement.top
    told["inner_width"], told["inner_height"] = placement.inner
    told["pixel_stride"], told["row_stride"], told["channel_stride"] = _strides(placement.size, wanted)
    told["padding"] = wanted.padding
    told["colour"] = colour_factors(picture.matrix, wanted.colour, full_range=picture.full_range)
    told["mean"], told["deviation"] = normalisation(wanted)
    return told


def scale_of(asked: ModelPicture) -> tuple[float, float]:
    """Pixels of the picture that make one pixel of the image, across and down."""
    left, top, right, bottom = asked.placement.region
    inner = asked.placement.inner
    return (right - left) / inner[0], (bottom - top) / inner[1]


def _steps(picture: Picture) -> tuple[int, int, int]:
    """Bytes from row to row of Y, of U and V, and from one sample of these to the next.

    Raises ValueError for planes that the kernel could not read.
    """
    planes: tuple[Array, ...] = (picture.luma, picture.blue, picture.red)
    if any(plane.dtype != np.uint8 for plane in planes):
        raise ValueError("the planes of a picture must be uint8")
    half = ((picture.height + 1) // 2, (picture.width + 1) // 2)
    if picture.luma.strides[1] != 1 or any(plane.shape != half for plane in planes[1:]):
        raise ValueError(
            f"a picture of {picture.width}x{picture.height} must have chroma of {half}, rows of whole luma"
        )
    if picture.blue.strides != picture.red.strides:
        raise ValueError("U and V must lie in memory alike")
    return picture.luma.strides[0], picture.blue.strides[0], picture.blue.strides[1]


def _strides(size: tuple[int, int], wanted: ModelInput) -> tuple[int, int, int]:
    """Elements from one pixel, row and channel of the tensor to the next."""
    width, height = size
    return (1, width, width * height) if wanted.layout == "NCHW" else (3, 3 * width, 1)
