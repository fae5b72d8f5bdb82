"""Opening an ONNX Runtime session on the provider chosen, or on the next one that starts."""

import functools
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from videofleet_worker.device.device import Device
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.models.onnx_file import answer_misfits
from videofleet_worker.models.providers import CUDA, TENSORRT, ProviderChoice, step_down
from videofleet_worker.models.registry import Model

_MOST_RUNS: Final = 4
"""Each takes memory for what the layers of a model hand to one another."""
_HINT = "are its libraries and the driver in this container?"


@dataclass(frozen=True)
class OpenSession:
    """A session, the provider that it really runs on, and the device whose pictures it takes, if any."""

    session: ort.InferenceSession
    choice: ProviderChoice
    device: Device | None = None
    abreast: ort.InferenceSession | None = None
    """On the processor: the same model for `runs` runs beside each other, each with its share of the threads."""
    runs: int = 1


@dataclass(frozen=True)
class SessionLimits:
    """What a session may use: threads on the CPU, images a batch on a GPU, a folder for TensorRT's built engines, and
    the device that pictures lie on.

    Without `cache_folder` TensorRT builds its engines anew at each start, which takes minutes. An engine is of use only
    to the `builder` that it was made with: TensorRT of one version, on one kind of GPU.
    """

    threads: int
    """Of a run that has the processors for itself."""
    largest_batch: int = 32
    cache_folder: Path | None = None
    builder: str = ""
    device: Device | None = None

    @property
    def runs(self) -> int:
        """How many runs on the processor may be beside each other."""
        return min(self.threads, _MOST_RUNS)

    @property
    def share(self) -> "SessionLimits":
        """Of one that runs beside others."""
        return replace(self, threads=math.ceil(self.threads / self.runs))

    def device_for(self, choice: ProviderChoice) -> Device | None:
        """The device whose pictures a session on this provider can read."""
        fits = self.device is not None and (self.device.kind == "cuda") == (choice.name != "cpu")
        return self.device if fits else None


def open_session(model: Model, choice: ProviderChoice, limits: SessionLimits) -> OpenSession:
    """A session for the model that has run once. Where the provider chosen does not start or does not run the model,
    the next one is taken and the choice says why.

    Raises the runtime's own exception where not even the CPU runs the model, ModelFolderError where what it gives is
    not what its decoder reads.
    """
    while True:
        problem = None
        try:
            session = _open(model, choice, limits)
            if choice.providers[0] in session.get_providers():
                shapes = _try(session, model)
                break
            problem = f"ONNX Runtime could not load its {choice.name} provider ({_HINT})"
        except Exception as error:
            # ONNX Runtime's exceptions have no base class of their own.
            if choice.name == "cpu":
                raise
            problem = f"the {choice.name} provider did not start: {_first_line(error)}"
        choice = step_down(choice, problem)
    if wrong := answer_misfits(model.manifest, shapes):
        raise ModelFolderError(model.folder, "; ".join(wrong))
    # Of pictures on a device a session has one input, and a run at a time.
    several = choice.name == "cpu" and limits.runs > 1 and limits.device_for(choice) is None
    abreast = _open(model, choice, limits.share) if several else None
    return OpenSession(session, choice, limits.device_for(choice), abreast, limits.runs if several else 1)


def _open(model: Model, choice: ProviderChoice, limits: SessionLimits) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = limits.threads
    options.inter_op_num_threads = 1
    # Threads that spin for work take the processor from the decoders beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if choice.name == "cpu":
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    providers = [(name, provider_options(name, model, limits)) for name in choice.providers]
    # The runtime's own fallback prints to standard output and runs on without saying on what.
    return ort.InferenceSession(str(model.path), options, providers=providers, enable_fallback=0)


@functools.cache
def _share_arena() -> None:
    """Make one arena for all sessions on the processor.

    What the layers of a model hand to one another lies in an arena, which keeps what it has ever needed. Each session
    would have its own, also the two of one model, which are never at work at the same time.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)


def _try(session: ort.InferenceSession, model: Model) -> dict[str, tuple[int, ...]]:
    """One blank image: a GPU that this build has no code for shows only when something runs on it. What shapes the
    model gave, by part.

    Two, of a file that was brought and takes any number: exporters write so of models that know one only. Raises
    ModelFolderError.
    """
    shapes = _run_blank(session, model, 1)
    if model.fixed_batch is None and not model.built_in:
        says = f"input: {model.manifest.file} takes any number of images by what it says"
        advice = "export it for one image, or all of it for any number"
        try:
            several = _run_blank(session, model, 2)
        except Exception as error:
            raise ModelFolderError(
                model.folder, f"{says}, and fails on two ({_first_line(error)}): {advice}"
            ) from error
        if any(shape[:1] != (2,) for shape in several.values()):
            raise ModelFolderError(model.folder, f"{says}, and does not answer for each of two: {advice}")
    return shapes


def _run_blank(session: ort.InferenceSession, model: Model, images: int) -> dict[str, tuple[int, ...]]:
    wanted, outputs = model.manifest.input, model.manifest.outputs
    blank = np.zeros(wanted.shape(images, wanted.sizes[0]), wanted.type)
    given = session.run(list(outputs.values()), {wanted.name: blank})
    return {part: tensor.shape for part, tensor in zip(outputs, given, strict=True)}


def provider_options(provider: str, model: Model, limits: SessionLimits) -> dict[str, Any]:
    """Options of one execution provider, by the names that ONNX Runtime's documentation gives."""
    if provider == CUDA:
        # The exhaustive search tries every algorithm at every new batch size.
        return {"cudnn_conv_algo_search": "HEURISTIC"}
    if provider == TENSORRT:
        return _tensorrt_options(model, limits)
    return {}


def _tensorrt_options(model: Model, limits: SessionLimits) -> dict[str, Any]:
    options: dict[str, Any] = {
        f"trt_profile_{name}_shapes": shapes for name, shapes in _profiles(model, limits.largest_batch).items()
    }
    if limits.cache_folder is not None:
        folder = engine_folder(limits.cache_folder, model.digest, limits.builder)
        folder.mkdir(parents=True, exist_ok=True)
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder)}
    return options


def _profiles(model: Model, largest: int) -> dict[str, str]:
    """The shapes that TensorRT builds for: the least, the best and the greatest of each profile. A shape outside all of
    them would build the engine again; one far from the best of its profile is slow."""
    wanted = model.manifest.input
    bands = [(1, 1), (2, 8), (9, 32), (33, 128)] if model.fixed_batch is None else [(model.fixed_batch,) * 2]
    bands = [(least, min(most, model.fixed_batch or largest)) for least, most in bands]

    def told(images: int, size: tuple[int, int]) -> str:
        return f"{wanted.name}:{'x'.join(map(str, wanted.shape(images, size)))}"

    # The same input named again begins another profile.
    low = ",".join(told(least, wanted.sizes[0]) for least, most in bands if least <= most)
    high = ",".join(told(most, wanted.sizes[-1]) for least, most in bands if least <= most)
    return {"min": low, "opt": high, "max": high}


def engine_folder(cache: Path, digest: str, builder: str) -> Path:
    """Where the engines of a model lie: by its digest, and by what built them."""
    made_with = re.sub(r"[^A-Za-z0-9.]+", "-", builder).strip("-") or "unknown"
    return cache / f"{digest.removeprefix('sha256:')[:16]}-{made_with}"


def _first_line(error: Exception) -> str:
    """What the runtime says, without the place in its own source that it puts first."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"^\S+\.cc:\d+ .*?\) ", "", line)[:300]
