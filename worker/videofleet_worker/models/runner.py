"""A model and the session that runs it: pictures in, tensors out."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from videofleet_worker.models.detections import FloatArray
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.models.registry import Model

Images = npt.NDArray[np.uint8]


class Runner:
    """Not for several threads at once."""

    def __init__(self, model: Model, session: ort.InferenceSession) -> None:
        self.model = model
        self._session = session

    @property
    def image_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """What one image may be: (3, height, width) of uint8, RGB."""
        return tuple((3, height, width) for width, height in self.model.manifest.input.sizes)

    @property
    def largest_batch(self) -> int | None:
        """The most images that one call may have; None: any number."""
        return self.model.fixed_batch

    def run(self, batch: Images) -> Mapping[str, FloatArray]:
        """The model's tensors for [n, 3, height, width] images, by their part."""
        manifest = self.model.manifest
        given = {manifest.input.name: as_input(batch, manifest.input)}
        tensors = self._session.run(list(manifest.outputs.values()), given)
        return dict(zip(manifest.outputs, tensors, strict=True))


def as_input(batch: Images, wanted: ModelInput) -> npt.NDArray[np.generic]:
    """Images [n, 3, height, width] of uint8, RGB, as the tensor that the model reads."""
    tensor: npt.NDArray[np.generic] = batch if wanted.colour == "RGB" else batch[:, ::-1]
    if wanted.type == "float32":
        tensor = _normalised(tensor.astype(np.float32), wanted)
    if wanted.layout == "NHWC":
        tensor = tensor.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(tensor)


def _normalised(values: FloatArray, wanted: ModelInput) -> FloatArray:
    if wanted.mean is not None:
        values -= np.array(wanted.mean, np.float32).reshape(1, 3, 1, 1)
    if wanted.deviation is not None:
        values /= np.array(wanted.deviation, np.float32).reshape(1, 3, 1, 1)
    return values
