"""Whether the GPU still works for this process. Some errors of CUDA end every use of it until the process ends."""

import asyncio
import re
from collections.abc import Iterator
from typing import Final

# Errors after which a context is of no use any more, by CUDA's numbers (cuda.h, CUresult) and names.
_NUMBERS: Final = frozenset(
    {3, 4, 46, 100, 101, 201, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999}
)
_NUMBERED: Final = re.compile(r"\b(?:CUDA (?:failure|error)|cudaError_t|CUresult)\W{0,3}(\d{1,3})\b", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"cudaError(IllegalAddress|LaunchFailure|LaunchTimeout|ECCUncorrectable|DevicesUnavailable|ContextIsDestroyed"
    r"|Assert|HardwareStackError|IllegalInstruction|MisalignedAddress|InvalidPc|NoDevice|Unknown)"
    r"|CUDA_ERROR_(ILLEGAL_ADDRESS|LAUNCH_FAILED|LAUNCH_TIMEOUT|ECC_UNCORRECTABLE|DEVICE_UNAVAILABLE"
    r"|CONTEXT_IS_DESTROYED|ASSERT|HARDWARE_STACK_ERROR|ILLEGAL_INSTRUCTION|MISALIGNED_ADDRESS|INVALID_PC|NO_DEVICE"
    r"|UNKNOWN)"
    r"|an illegal memory access was encountered|unspecified launch failure|uncorrectable ECC error",
)


class DeviceLostError(RuntimeError):
    """The GPU is lost to this process. The message says by what."""


def loses_the_gpu(error: BaseException) -> bool:
    """Whether nothing more can be done on the GPU in this process. What is only too much for its memory is not."""
    return any(_is_fatal(str(one)) for one in _causes(error))


def _is_fatal(text: str) -> bool:
    return _NAMED.search(text) is not None or any(int(number) in _NUMBERS for number in _NUMBERED.findall(text))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


class DeviceHealth:
    """Hears of errors from any thread. For one event loop, in which it is made."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def note(self, error: BaseException) -> None:
        """Something failed that runs on the device."""
        if self.reason is None and loses_the_gpu(error):
            self.reason = f"the GPU is lost to this process: {str(error).strip().splitlines()[0][:300]}"
            self._loop.call_soon_threadsafe(self._lost.set)

    async def lost(self) -> str:
        """Wait until the GPU is lost; by what."""
        await self._lost.wait()
        assert self.reason is not None, "it is said first"
        return self.reason
