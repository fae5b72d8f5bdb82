"""A model and the session that runs it: pictures in, tensors out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from videofleet_worker.device.device import Device
from videofleet_worker.device.picture import ModelPicture
from videofleet_worker.models.bound import BoundSession
from videofleet_worker.models.detections import FloatArray
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.models.registry import Model

Images = npt.NDArray[np.uint8]
Image = Images | ModelPicture
"""[3, height, width] of uint8, RGB; or what is to become that on the device."""


@dataclass(frozen=True, eq=False)
class PictureBatch:
    """Pictures of one size that lie on the device. `shape` is that of their images, [n, 3, height, width]."""

    pictures: tuple[ModelPicture, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of an array of their images."""
        return len(self.pictures), *self.pictures[0].shape

    def __len__(self) -> int:
        return len(self.pictures)


Batch = Images | PictureBatch


def stack(images: Sequence[Image]) -> Batch:
    """One batch of images, which must be of one kind and shape."""
    if isinstance(images[0], ModelPicture):
        return PictureBatch(tuple(image for image in images if isinstance(image, ModelPicture)))
    given = [image for image in images if isinstance(image, np.ndarray)]
    # One image needs no copy: the session reads it where it lies.
    return given[0][None] if len(given) == 1 else np.stack(given)


class Runner:
    """Not for several threads at once. Pictures of a device need the one that they lie on."""

    def __init__(self, model: Model, session: ort.InferenceSession, device: Device | None = None) -> None:
        self.model = model
        self._session = session
        self._bound = BoundSession(session, model.manifest, device) if device is not None else None

    @property
    def image_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """What one image may be: (3, height, width) of uint8, RGB."""
        return tuple((3, height, width) for width, height in self.model.manifest.input.sizes)

    @property
    def largest_batch(self) -> int | None:
        """The most images that one call may have; None: any number."""
        return self.model.fixed_batch

    @property
    def on_device(self) -> bool:
        """Whether it takes pictures that lie on its device."""
        return self._bound is not None

    def run(self, batch: Batch) -> Mapping[str, FloatArray]:
        """The model's tensors for [n, 3, height, width] images, by their part."""
        manifest = self.model.manifest
        if isinstance(batch, PictureBatch):
            if self._bound is None:
                raise ValueError("the pictures lie on a device, and the model's session runs on none")
            tensors = self._bound.run(batch.pictures)
        else:
            given = {manifest.input.name: as_input(batch, manifest.input)}
            tensors = self._session.run(list(manifest.outputs.values()), given)
        return dict(zip(manifest.outputs, tensors, strict=True))


def as_input(batch: Images, wanted: ModelInput) -> npt.NDArray[np.generic]:
    """Images [n, 3, height, width] of uint8, RGB, as the tensor that the model reads."""
    tensor: npt.NDArray[np.generic] = batch if wanted.colour == "RGB" else batch[:, ::-1]
    if wanted.type != "uint8":
        tensor = _normalised(tensor.astype(np.float32), wanted).astype(wanted.type)
    if wanted.layout == "NHWC":
        tensor = tensor.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(tensor)


def _normalised(values: FloatArray, wanted: ModelInput) -> FloatArray:
    if wanted.mean is not None:
        values -= np.array(wanted.mean, np.float32).reshape(1, 3, 1, 1)
    if wanted.deviation is not None:
        values /= np.array(wanted.deviation, np.float32).reshape(1, 3, 1, 1)
    return values
