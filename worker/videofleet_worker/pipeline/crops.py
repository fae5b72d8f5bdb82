"""Pictures for models, cut from a frame at full resolution and scaled in one go."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from videofleet_worker.colours import Matrix, rgb_factors
from videofleet_worker.device.picture import ModelPicture, Picture
from videofleet_worker.device.placement import Box, Placement, Size, place
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.models.runner import Image as ModelImage
from videofleet_worker.models.runner import Images
from videofleet_worker.outputs.jpeg import Planes, full_range_copy


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a frame as a model takes it, and where it comes from."""

    image: ModelImage
    placement: Placement


def cut(planes: Planes, region: Box, wanted: ModelInput, *, full_range: bool, matrix: Matrix = "bt601") -> Crop | None:
    """The part of a frame inside the region; None where less than a pixel of it lies in the frame.

    `full_range`: whether the planes use all values from 0 to 255. `matrix`: by what they were made.
    """
    height, width = planes[0].shape
    placement = place(region, width, height, wanted)
    if placement is None:
        return None
    inner = placement.inner
    picture = _scaled(planes, placement.region, inner, full_range=full_range, matrix=matrix)
    if inner == placement.size:
        return Crop(np.ascontiguousarray(picture), placement)
    image = np.full((3, placement.size[1], placement.size[0]), wanted.padding, np.uint8)
    image[:, placement.top : placement.top + inner[1], placement.left : placement.left + inner[0]] = picture
    return Crop(image, placement)


def cut_on_device(picture: Picture, region: Box, wanted: ModelInput) -> Crop | None:
    """As `cut`, of a picture that lies on a device and stays there: it is scaled with the batch that it is in."""
    placement = place(region, picture.width, picture.height, wanted)
    return None if placement is None else Crop(ModelPicture(picture, placement), placement)


def _scaled(planes: Planes, region: Box, size: Size, *, full_range: bool, matrix: Matrix) -> Images:
    """Each plane is cut and scaled by itself, so that colours are converted only where they are needed."""
    scaled = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box=_inside(plane, region, step)))
        for plane, step in zip(planes, (1, 2, 2), strict=True)
    ]
    if matrix != "bt601":
        factors = np.array(rgb_factors(matrix, full_range=full_range), np.float32)
        colours = np.tensordot(factors[:, :3], np.stack(scaled).astype(np.float32), 1) + factors[:, 3, None, None]
        values: Images = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
        return values
    # Pillow knows this one, and is ten times as fast.
    full = full_range_copy((scaled[0], scaled[1], scaled[2]), full_range=full_range)
    rgb = Image.merge("YCbCr", [Image.fromarray(plane) for plane in full]).convert("RGB")
    return np.asarray(rgb).transpose(2, 0, 1)


def _inside(plane: Images, region: Box, step: int) -> Box:
    """The region in pixels of a plane that has one for `step` pixels of the frame."""
    height, width = plane.shape
    left, top = min(region[0] / step, width - 0.5), min(region[1] / step, height - 0.5)
    return left, top, min(region[2] / step, width), min(region[3] / step, height)
