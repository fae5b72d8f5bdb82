"""The models of this worker, with the engines that serve all streams."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from videofleet_api.protocol import CapacityHint
from videofleet_worker.config import Settings
from videofleet_worker.device.choosing import open_device
from videofleet_worker.device.device import Device
from videofleet_worker.device.gauges import GpuGauges, read_gauges
from videofleet_worker.device.jpeg import PictureEncoder, open_encoder
from videofleet_worker.holding import GpuFacts, ProcessorFacts, on_gpu, on_processor
from videofleet_worker.models.cpus import count_usable_cpus
from videofleet_worker.models.engines import Engines
from videofleet_worker.models.providers import ProviderChoice, ProviderFacts, choose, engine_builder, probe
from videofleet_worker.models.registry import BUILTIN_FOLDER, DEFAULT_MODELS, ModelRegistry, check_digests
from videofleet_worker.models.session import SessionLimits, open_session
from videofleet_worker.sources.ondevice import DecodeStation, station_on


@dataclass(frozen=True)
class Inference:
    """What runs the models, and on what."""

    registry: ModelRegistry
    engines: Engines
    wanted: ProviderChoice
    facts: ProviderFacts
    device: Device | None = None
    """Where pictures are prepared; None: in the processor's memory."""
    on_failure: Callable[[Exception], None] = lambda error: None
    """Hears, in any thread, of what fails while decoding on the device."""
    encoder: PictureEncoder | None = None
    """Makes JPEG of pictures on the device; None: the processor does."""
    hint: CapacityHint | None = None
    """How many streams it was found to hold at its start."""

    @property
    def provider(self) -> ProviderChoice:
        """The weakest that any open model ended up with."""
        return _weakest(self.engines.choices, self.wanted)

    @property
    def station(self) -> DecodeStation | None:
        """Where streams are decoded whose frames stay on the GPU; None where a model needs them elsewhere."""
        if self.device is None or self.provider.name == "cpu":
            return None
        return station_on(self.device, self.on_failure, self.encoder)

    async def close(self) -> None:
        """End every engine."""
        await self.engines.close()


async def start_inference(settings: Settings, on_failure: Callable[[Exception], None]) -> Inference:
    """Read the models, and open the usual detector and those that were brought; on a GPU that may take minutes.

    The other built-in models are opened when a job first needs them: each takes memory. Those that were brought are
    tried at once, so that the worker of a wrong one says so and does not get ready. `on_failure` hears, in any thread,
    of what fails later.

    Raises ModelFolderError for a model that is wrong, ModelDoesNotRunError for one that nothing runs.
    """
    registry = await asyncio.to_thread(ModelRegistry.load, (BUILTIN_FOLDER, *settings.models))
    check_digests(registry, settings.model_digests)
    facts = await asyncio.to_thread(probe)
    choice = choose(settings.execution_provider, facts)
    # What others take of it: later it is what this process takes.
    before = None if choice.name == "cpu" else await asyncio.to_thread(_first_gpu)
    device = await asyncio.to_thread(open_device, choice)
    limits = SessionLimits(
        count_usable_cpus(), cache_folder=_cache(settings.scratch), builder=engine_builder(facts), device=device
    )
    engines = Engines(registry, partial(open_session, choice=choice, limits=limits), on_failure)
    brought = [name for name, model in registry.items() if not model.built_in]
    await engines.open((DEFAULT_MODELS["detect"], *brought))
    encoder = None if device is None else await asyncio.to_thread(open_encoder, device)
    opened = Inference(registry, engines, choice, facts, device, on_failure, encoder)
    return replace(opened, hint=await _look(opened, before))


async def _look(opened: Inference, before: GpuGauges | None) -> CapacityHint:
    """How many streams the worker holds. `before`: the GPU before models were loaded."""
    on_cpu = opened.provider.name == "cpu"
    speed = await opened.engines.measure(DEFAULT_MODELS["detect"], batch=not on_cpu)
    if on_cpu:
        return on_processor(ProcessorFacts(count_usable_cpus(), speed.processor))
    engines = None if opened.device is None else await asyncio.to_thread(opened.device.engines)
    facts = GpuFacts(1 / speed.clock, engines, memory=_free(await asyncio.to_thread(_first_gpu)))
    return on_gpu(facts if before is None else replace(facts, busy=before.utilisation, decoding=before.decoder))


def _first_gpu() -> GpuGauges | None:
    return next(iter(read_gauges()), None)


def _free(gpu: GpuGauges | None) -> int | None:
    if gpu is None or gpu.memory_total is None or gpu.memory_used is None:
        return None
    return gpu.memory_total - gpu.memory_used


def _cache(scratch: Path) -> Path:
    folder = scratch / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _weakest(choices: Sequence[ProviderChoice], wanted: ProviderChoice) -> ProviderChoice:
    order = {"tensorrt": 0, "cuda": 1, "cpu": 2}
    return max(choices, key=lambda choice: order[choice.name], default=wanted)
