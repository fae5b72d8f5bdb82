"""Which errors mean that the GPU is lost to the process, and that they are heard from any thread."""

import asyncio

import pytest

from videofleet_worker.device.health import DeviceHealth, loses_the_gpu


@pytest.mark.parametrize(
    "text",
    [
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=a ; expr=cudaStreamSynchronize",
        "cudaErrorIllegalAddress: an illegal memory access was encountered",
        "CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered",
        "CUDA failure 719: unspecified launch failure",
        "CUDA error 46: all CUDA-capable devices are busy or unavailable",
        "cudaErrorNoDevice: no CUDA-capable device is detected",
    ],
)
def test_the_gpu_is_lost(text: str) -> None:
    assert loses_the_gpu(RuntimeError(text))


@pytest.mark.parametrize(
    "text",
    [
        "CUDA failure 2: out of memory",
        "cudaErrorMemoryAllocation: out of memory",
        "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "Got invalid dimensions for input: images at index: 2 Got: 700 Expected: 416",
        "CUDA failure 1: invalid argument",
        "",
    ],
)
def test_the_gpu_goes_on(text: str) -> None:
    assert not loses_the_gpu(RuntimeError(text))


def test_the_cause_counts_too() -> None:
    outer = RuntimeError("the model's session failed")
    outer.__cause__ = RuntimeError("CUDA failure 700: an illegal memory access was encountered")
    assert loses_the_gpu(outer)


async def test_it_is_heard_from_any_thread_and_the_first_reason_stays() -> None:
    health = DeviceHealth()
    await asyncio.to_thread(health.note, RuntimeError("CUDA failure 2: out of memory"))
    assert health.reason is None
    await asyncio.to_thread(health.note, RuntimeError("CUDA failure 719: unspecified launch failure\nmore"))
    health.note(RuntimeError("CUDA failure 700: an illegal memory access was encountered"))
    assert await health.lost() == "the GPU is lost to this process: CUDA failure 719: unspecified launch failure"
