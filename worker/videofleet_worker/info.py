"""What a worker says about itself."""

from importlib.metadata import PackageNotFoundError, version

from videofleet_api.protocol import GpuInfo, ModelInfo, WorkerInfo
from videofleet_worker.config import Settings
from videofleet_worker.decode import confinement, landlock
from videofleet_worker.inference import Inference
from videofleet_worker.jobs.assignments import Assignments
from videofleet_worker.memory import DecoderMemory


def describe(settings: Settings, inference: Inference, assignments: Assignments, memory: DecoderMemory) -> WorkerInfo:
    """`GET /v1/info`."""
    registry = inference.registry
    return WorkerInfo(
        id=settings.worker_id,
        instance=assignments.instance,
        version=worker_version(),
        term=assignments.term,
        models=[ModelInfo(name=one.name, task=one.manifest.task, digest=one.digest) for one in registry.values()],
        steps=list(registry.steps),
        provider=inference.provider.name,
        fallback_reason=inference.provider.fallback_reason,
        picture_encoder="processor" if inference.station is None or inference.encoder is None else "nvjpeg",
        gpus=[GpuInfo(name=gpu.name, memory_bytes=gpu.memory) for gpu in inference.facts.gpus],
        capacity=settings.capacity,
        hint=inference.hint,
        isolation=isolation(),
        decoder_memory_bytes=memory.own + memory.frames,
    )


def isolation() -> dict[str, bool]:
    """What keeps decoders from each other and from all else, and whether this kernel has it."""
    return {"decodingProcess": True, "seccomp": confinement.available(), "landlock": landlock.version() > 0}


def worker_version() -> str:
    """The version of the installed package; `source` where it runs from a checkout."""
    try:
        return version("videofleet-worker")
    except PackageNotFoundError:
        return "source"
