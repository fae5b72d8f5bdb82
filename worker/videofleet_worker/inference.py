"""The models of this worker, each with a session and an engine that serves all streams."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videofleet_worker.config import Settings
from videofleet_worker.models.batching import InferenceEngine
from videofleet_worker.models.cpus import count_usable_cpus
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.providers import ProviderChoice, ProviderFacts, choose, probe
from videofleet_worker.models.registry import BUILTIN_FOLDER, ModelRegistry
from videofleet_worker.models.session import OpenSession, SessionLimits, open_session


@dataclass(frozen=True)
class Inference:
    """What runs the models, and on what. `provider` is the weakest that any of them ended up with."""

    registry: ModelRegistry
    engines: Mapping[str, InferenceEngine]
    provider: ProviderChoice
    facts: ProviderFacts

    async def close(self) -> None:
        """End every engine."""
        await asyncio.gather(*(engine.close() for engine in self.engines.values()))


async def start_inference(settings: Settings) -> Inference:
    """Read the models and open their sessions; on a GPU that may take minutes the first time.

    Raises ModelFolderError for a model that is wrong, and the runtime's own error where nothing runs it.
    """
    registry = await asyncio.to_thread(ModelRegistry.load, (BUILTIN_FOLDER, *settings.models))
    facts = await asyncio.to_thread(probe)
    choice = choose(settings.execution_provider, facts)
    limits = SessionLimits(count_usable_cpus(), cache_folder=_cache(settings.scratch))
    opened = {name: await asyncio.to_thread(open_session, model, choice, limits) for name, model in registry.items()}
    engines = {name: InferenceEngine(Detector(registry[name], one.session)) for name, one in opened.items()}
    return Inference(registry, engines, _weakest(opened, choice), facts)


def _cache(scratch: Path) -> Path:
    folder = scratch / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _weakest(opened: Mapping[str, OpenSession], wanted: ProviderChoice) -> ProviderChoice:
    order = {"tensorrt": 0, "cuda": 1, "cpu": 2}
    return max((one.choice for one in opened.values()), key=lambda choice: order[choice.name], default=wanted)
