"""Which of ONNX Runtime's execution providers a worker uses, and why not the one it was asked for."""

import ctypes
from dataclasses import dataclass
from typing import Literal, assert_never

import onnxruntime as ort

Requested = Literal["auto", "tensorrt", "cuda", "cpu"]
ProviderName = Literal["tensorrt", "cuda", "cpu"]

TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

# The later ones run what the earlier ones cannot.
_CHAINS: dict[ProviderName, tuple[str, ...]] = {
    "tensorrt": (TENSORRT, CUDA, CPU),
    "cuda": (CUDA, CPU),
    "cpu": (CPU,),
}


@dataclass(frozen=True)
class Gpu:
    """A GPU that the driver shows; memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True)
class ProviderFacts:
    """What this machine has: the providers built into ONNX Runtime, and the GPUs or why none is seen."""

    offered: tuple[str, ...]
    gpus: tuple[Gpu, ...] = ()
    gpu_error: str | None = None
    tensorrt: int | None = None
    """The version of TensorRT's library as a number, 101200 for 10.12; None where there is none."""


@dataclass(frozen=True)
class ProviderChoice:
    """The providers to ask a session for, the first one's short name, and what spoke against better ones."""

    providers: tuple[str, ...]
    name: ProviderName
    causes: tuple[str, ...] = ()

    @property
    def fallback_reason(self) -> str | None:
        """Why this is not the provider hoped for, in words for people; None where it is."""
        if not self.causes:
            return None
        return f"{'; '.join(self.causes)}; using {'the CPU' if self.name == 'cpu' else self.name}"


def choose(requested: Requested, facts: ProviderFacts) -> ProviderChoice:
    """The best provider that can work here. `auto` hopes for a GPU; only `cpu` never gives a reason."""
    match requested:
        case "cpu":
            return ProviderChoice(_CHAINS["cpu"], "cpu")
        case "auto" | "cuda" | "tensorrt":
            return _choose_gpu(requested, facts)
        case _:
            assert_never(requested)


def _choose_gpu(requested: Requested, facts: ProviderFacts) -> ProviderChoice:
    if not facts.gpus:
        why = f" ({facts.gpu_error})" if facts.gpu_error else ""
        return _cpu(f"no NVIDIA GPU is visible here{why}")
    if CUDA not in facts.offered and TENSORRT not in facts.offered:
        offered = ", ".join(facts.offered)
        return _cpu(f"this ONNX Runtime is built without CUDA (it offers {offered}); onnxruntime-gpu has it")
    if requested != "cuda" and TENSORRT in facts.offered:
        return ProviderChoice(_CHAINS["tensorrt"], "tensorrt")
    if CUDA not in facts.offered:
        return _cpu("this ONNX Runtime is built with TensorRT but without CUDA")
    causes = ("this ONNX Runtime is built without TensorRT",) if requested == "tensorrt" else ()
    return ProviderChoice(_CHAINS["cuda"], "cuda", causes)


def step_down(choice: ProviderChoice, cause: str) -> ProviderChoice:
    """The next choice after one that did not start; causes add up."""
    name: ProviderName = "cuda" if choice.name == "tensorrt" else "cpu"
    return ProviderChoice(_CHAINS[name], name, (*choice.causes, cause))


def _cpu(cause: str) -> ProviderChoice:
    return ProviderChoice(_CHAINS["cpu"], "cpu", (cause,))


def engine_builder(facts: ProviderFacts) -> str:
    """What TensorRT's engines depend on besides the model: its own version, and the GPU that they are measured on."""
    return "-".join((f"trt{facts.tensorrt}", *(gpu.name for gpu in facts.gpus[:1])))


def probe() -> ProviderFacts:
    """Look at this machine. Never fails: without a driver there is no GPU, and the facts say why."""
    gpus, error = _visible_gpus()
    return ProviderFacts(tuple(ort.get_available_providers()), gpus, error, _tensorrt_version() if gpus else None)


def _tensorrt_version() -> int | None:
    try:
        library = ctypes.CDLL("libnvinfer.so.10")
    except OSError:
        return None
    return int(library.getInferLibVersion())


def _visible_gpus() -> tuple[tuple[Gpu, ...], str | None]:
    try:
        import pynvml
    except ImportError as error:
        return (), str(error)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), str(error)
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(str(pynvml.nvmlDeviceGetName(one)), int(pynvml.nvmlDeviceGetMemoryInfo(one).total)) for one in handles
        ), None
    except pynvml.NVMLError as error:
        return (), str(error)
    finally:
        pynvml.nvmlShutdown()
