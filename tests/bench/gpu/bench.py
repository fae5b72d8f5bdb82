"""What is measured: one GPU with a detector on it and a decoder; or the same on the processor, to try the code."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
from av.codec.hwaccel import hwdevices_available

from videofleet_worker.device.choosing import open_device
from videofleet_worker.device.device import Device
from videofleet_worker.device.host import HostDevice
from videofleet_worker.models.cpus import count_usable_cpus
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.providers import CUDA, TENSORRT, ProviderFacts, choose, engine_builder
from videofleet_worker.models.registry import DEFAULT_MODELS, ModelRegistry
from videofleet_worker.models.session import SessionLimits, open_session
from videofleet_worker.sources.ondevice import DecodeStation, station_on


class NoGpuError(Exception):
    """There is nothing to measure. The message says what is missing."""


@dataclass(frozen=True)
class Bench:
    """`provider`: tensorrt, cuda or cpu. `named`: the device, for people. `detector` takes pictures of the device."""

    named: str
    provider: str
    device: Device
    detector: Detector
    station: DecodeStation


def missing(facts: ProviderFacts) -> list[str]:
    """What of a GPU's worker is not here, each with what would help."""
    found = []
    if not facts.gpus:
        found.append(f"an NVIDIA GPU with its driver (NVML says: {facts.gpu_error or 'no GPU'})")
    if CUDA not in facts.offered and TENSORRT not in facts.offered:
        found.append("an ONNX Runtime with CUDA (onnxruntime-gpu, see locks/worker-cuda.txt)")
    if importlib.util.find_spec("cupy") is None:
        found.append("CuPy (cupy-cuda13x, see locks/worker-cuda.txt)")
    if "cuda" not in hwdevices_available():
        found.append("an FFmpeg in PyAV that knows CUDA")
    return found


def on_gpu(facts: ProviderFacts) -> Bench:
    """As a worker opens it. Raises NoGpuError."""
    if lacking := missing(facts):
        raise NoGpuError("; ".join(lacking))
    # The worker's image names CUDA's libraries to the linker; an environment of Python packages does not.
    ort.preload_dlls(directory="")
    choice = choose("auto", facts)
    device = open_device(choice)
    if device is None:
        raise NoGpuError("a GPU that CuPy can use: see the warning above")
    cache = Path(tempfile.gettempdir()) / "videofleet-bench-engines"
    cache.mkdir(exist_ok=True)
    limits = SessionLimits(count_usable_cpus(), cache_folder=cache, builder=engine_builder(facts), device=device)
    model = ModelRegistry.load()[DEFAULT_MODELS["detect"]]
    opened = open_session(model, choice, limits)
    if opened.device is None:
        raise NoGpuError(f"a provider that runs the detector there: {opened.choice.fallback_reason}")
    detector = Detector(model, opened.session, opened.device)
    return Bench(facts.gpus[0].name, opened.choice.name, device, detector, station_on(device))


def on_processor(facts: ProviderFacts) -> Bench:
    """The same code with the processor for a device, and FFmpeg's decoder in NVDEC's place."""
    device, model = HostDevice(), ModelRegistry.load()[DEFAULT_MODELS["detect"]]
    limits = SessionLimits(count_usable_cpus(), device=device)
    opened = open_session(model, choose("cpu", facts), limits)
    detector = Detector(model, opened.session, opened.device)
    return Bench("the processor (dry run)", opened.choice.name, device, detector, DecodeStation(device, None))
