"""An NVIDIA GPU as a device, through CuPy: it is imported only where a GPU is used."""

from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from videofleet_worker.device.decoders import count_engines
from videofleet_worker.device.kernel import BLOCK, NAME, grid, job, source
from videofleet_worker.device.picture import Array, ModelPicture
from videofleet_worker.models.manifest import ModelInput


class CudaDevice:
    """See Device. Everything goes over the default stream, which waits for the decoder's and the session's streams."""

    kind: Final[Literal["cuda"]] = "cuda"

    def __init__(self, number: int = 0) -> None:
        """Raises ImportError without CuPy, RuntimeError where CUDA or its compiler does not work."""
        import cupy

        self.number = number
        self._cupy = cupy
        with cupy.cuda.Device(number):
            # Compiled at once: what does not work is to be known before streams come.
            self._kernels = {size: _kernel(number, size) for size in (1, 2, 4)}
            cupy.cuda.runtime.deviceSynchronize()

    def empty(self, shape: tuple[int, ...], kind: str) -> Array:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            return self._cupy.empty(shape, kind)

    def address(self, array: Array) -> int:
        """See Device."""
        return int(array.data.ptr)

    def read(self, plane: object) -> Array:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            return self._cupy.from_dlpack(_Unstreamed(plane))

    def copy(self, target: Array, given: Array) -> None:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            self._cupy.copyto(target, given)

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            taken: npt.NDArray[Any] = self._cupy.asnumpy(array, order="C")
            return taken

    def from_host(self, target: Array, given: npt.NDArray[np.generic]) -> None:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            # `set` wants a contiguous target, and U and V of NV12 are none.
            self._cupy.copyto(target, self._cupy.asarray(given))

    def fill(self, tensor: Array, asked: ModelPicture, wanted: ModelInput) -> None:
        """See Device."""
        picture = asked.picture
        with self._cupy.cuda.Device(self.number):
            # The structure goes by value.
            given = (picture.luma, picture.blue, picture.red, tensor, job(asked, wanted))
            self._kernels[tensor.itemsize](grid(asked.shape), BLOCK, given)

    def engines(self) -> int | None:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            # Makes the context the thread's own, which the decoder's library asks for.
            self._cupy.cuda.runtime.free(0)
            return count_engines()

    def finish(self) -> None:
        """See Device."""
        with self._cupy.cuda.Device(self.number):
            self._cupy.cuda.get_current_stream().synchronize()


class _Unstreamed:
    """A plane of the decoder's: PyAV takes no stream to wait for, and needs none, as it decodes on the default one."""

    def __init__(self, plane: Any) -> None:
        self._plane = plane

    def __dlpack__(self, **_: object) -> object:
        return self._plane.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._plane.__dlpack_device__()
        return device


@cache
def _kernel(number: int, size: int) -> Any:
    import cupy

    kernel = cupy.RawKernel(source(), NAME, options=(f"-DELEMENT={size}",))
    kernel.compile()
    return kernel
