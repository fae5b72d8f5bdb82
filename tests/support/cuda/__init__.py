"""The worker's CUDA kernel, compiled for the processor: the same source, its threads one after another."""

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy.typing as npt

from videofleet_worker.device import kernel
from videofleet_worker.device.picture import ModelPicture
from videofleet_worker.models.manifest import ModelInput

SHIM = Path(__file__).with_name("shim.h")


class _Dim(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int))


@cache
def library(element: int) -> ctypes.CDLL:
    """The kernel for tensors of so many bytes a value."""
    with TemporaryDirectory() as folder:
        source, built = Path(folder, "pictures.cu"), Path(folder, "pictures.so")
        source.write_text(kernel.source(), encoding="ascii")
        options = [f"-DELEMENT={element}", f'-DKERNEL="{source}"', "-std=c++17", "-O2", "-Wall", "-Werror"]
        subprocess.run(["g++", *options, "-shared", "-fPIC", "-x", "c++", str(SHIM), "-o", str(built)], check=True)
        return ctypes.CDLL(str(built))


def run(asked: ModelPicture, wanted: ModelInput, tensor: npt.NDArray[Any]) -> None:
    """Launch the kernel as CudaDevice.fill does."""
    picture = asked.picture
    told = kernel.job(asked, wanted)
    planes = [ctypes.c_void_p(plane.ctypes.data) for plane in (picture.luma, picture.blue, picture.red)]
    library(tensor.itemsize).launch(
        _Dim(*kernel.grid(asked.shape)),
        _Dim(*kernel.BLOCK),
        *planes,
        ctypes.c_void_p(tensor.ctypes.data),
        ctypes.c_void_p(told.ctypes.data),
    )
