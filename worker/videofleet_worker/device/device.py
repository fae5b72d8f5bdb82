"""What the rest of the worker asks of the device that models run on."""

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from videofleet_worker.device.picture import Array, ModelPicture
from videofleet_worker.models.manifest import ModelInput


class Device(Protocol):
    """Memory and pictures of one device. `kind` and `number` are as ONNX Runtime names devices."""

    @property
    def kind(self) -> Literal["cpu", "cuda"]: ...

    @property
    def number(self) -> int: ...

    def empty(self, shape: tuple[int, ...], kind: str) -> Array:
        """An array of this shape, contiguous, of the type that NumPy calls `kind`; its contents are anything."""
        ...

    def address(self, array: Array) -> int:
        """Where an array begins."""
        ...

    def read(self, plane: object) -> Array:
        """The array behind an object that speaks DLPack, without a copy: a plane of a decoded frame."""
        ...

    def copy(self, target: Array, given: Array) -> None:
        """Copy what one array of this device holds into another."""
        ...

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """A contiguous copy in the memory of the processor; an array that lies there already may come as it is."""
        ...

    def from_host(self, target: Array, given: npt.NDArray[np.generic]) -> None:
        """Copy an array of the processor's memory into one of this device."""
        ...

    def fill(self, tensor: Array, asked: ModelPicture, wanted: ModelInput) -> None:
        """Write the model's input for one image into `tensor`, [3, h, w] or [h, w, 3] as the model's layout has it."""
        ...

    def engines(self) -> int | None:
        """How many engines it has that decode video; None where that is not known."""
        ...

    def finish(self) -> None:
        """Wait until all that was asked of the device is done."""
        ...
