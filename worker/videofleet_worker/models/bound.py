"""A session whose input never leaves its device: pictures become tensors there, and are bound by their address."""

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from videofleet_worker.device.device import Device
from videofleet_worker.device.picture import Array, ModelPicture
from videofleet_worker.models.detections import FloatArray
from videofleet_worker.models.manifest import ModelManifest


class BoundSession:
    """Not for several threads at once: there is one input for each size of image, as long as the largest batch was."""

    def __init__(self, session: ort.InferenceSession, manifest: ModelManifest, device: Device) -> None:
        self._session = session
        self._manifest = manifest
        self._device = device
        self._inputs: dict[tuple[int, int], Array] = {}

    def run(self, pictures: Sequence[ModelPicture]) -> list[FloatArray]:
        """The model's tensors for images of one size, in the manifest's order, in the processor's memory."""
        wanted = self._manifest.input
        tensor = self._input(len(pictures), pictures[0].placement.size)
        for image, asked in zip(tensor, pictures, strict=True):
            self._device.fill(image, asked, wanted)
        # The session has a stream of its own, which knows nothing of what fills its input.
        self._device.finish()
        binding = self._session.io_binding()
        binding.bind_input(
            wanted.name,
            self._device.kind,
            self._device.number,
            np.dtype(wanted.type),
            tensor.shape,
            self._device.address(tensor),
        )
        for name in self._manifest.outputs.values():
            # Small, and read by the processor: the session copies them once it is done.
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        answers: list[FloatArray] = binding.copy_outputs_to_cpu()
        return answers

    def _input(self, images: int, size: tuple[int, int]) -> Array:
        wanted = self._manifest.input
        kept = self._inputs.get(size)
        if kept is None or len(kept) < images:
            kept = self._inputs[size] = self._device.empty(wanted.shape(images, size), wanted.type)
        return kept[:images]
