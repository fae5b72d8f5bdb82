"""The engines of a worker: one a model, opened when a job first needs it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import onnxruntime as ort

from videofleet_worker.device.device import Device
from videofleet_worker.memory import give_back
from videofleet_worker.models.batching import Abreast, InferenceEngine
from videofleet_worker.models.describing import Classifier, Embedder, Guess, TextReader
from videofleet_worker.models.detections import DetectionQuery, Detections, FloatArray
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.layouts import Task
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.models.providers import ProviderChoice
from videofleet_worker.models.registry import Model, ModelRegistry
from videofleet_worker.models.runner import Runner
from videofleet_worker.models.session import OpenSession
from videofleet_worker.models.speed import Speed, measure
from videofleet_worker.models.turns import Turns

_RUNNERS: Mapping[Task, Callable[[Model, ort.InferenceSession, Device | None], Runner]] = {
    "detection": Detector,
    "embedding": Embedder,
    "classification": Classifier,
    "text": TextReader,
}

_BATCHES: Final = 3.5
"""One at work, and one of twice the size, which is the next that is tried; of larger ones also some on the way."""

_NEXT: Final = 2
"""Beside those at work: where runs end at the same time, there is one for each."""


class ModelDoesNotRunError(RuntimeError):
    """A session for a model could not be opened. The message names the model and says why."""


class Engines:
    """A model takes memory from when a job first needs it. For one event loop.

    turns: who has a frame looked at waits for one, so that live streams are asked for their newest.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        open_model: Callable[[Model], OpenSession],
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """`on_failure` hears, in any thread, of each batch that failed."""
        self._on_failure = on_failure
        self._registry = registry
        self._open_model = open_model
        self._engines: dict[str, InferenceEngine[Any, Any]] = {}
        self._runners: dict[str, Runner] = {}
        self._choices: list[ProviderChoice] = []
        self._opening = asyncio.Lock()
        self.turns = Turns(self._room)

    @property
    def choices(self) -> tuple[ProviderChoice, ...]:
        """What the open models run on."""
        return tuple(self._choices)

    def _room(self) -> int:
        """So many frames may be looked at at a time, over all streams, that no engine waits for one."""
        engines = self._engines.values()
        batches = int(_BATCHES * max((engine.sizes.settled for engine in engines), default=1))
        return max(batches, *(engine.runs + _NEXT for engine in engines)) if self._engines else batches

    async def open(self, names: Iterable[str]) -> None:
        """Have these models open. Raises ModelDoesNotRunError, ModelFolderError."""
        async with self._opening:
            for name in names:
                if name not in self._engines:
                    await self._open(self._registry[name])

    async def _open(self, model: Model) -> None:
        try:
            opened = await asyncio.to_thread(self._open_model, model)
        except ModelFolderError:
            raise
        except Exception as error:
            # ONNX Runtime's exceptions have no base class of their own.
            raise ModelDoesNotRunError(f"model {model.name} does not run: {error}") from error
        # Reading the file takes as much again as the model keeps.
        await asyncio.to_thread(give_back)
        self._choices.append(opened.choice)
        runner = _RUNNERS[model.manifest.task](model, opened.session, opened.device)
        self._runners[model.name] = runner
        self._engines[model.name] = InferenceEngine(
            cast(Any, runner), abreast=self._abreast(model, opened), on_failure=self._on_failure
        )

    def _abreast(self, model: Model, opened: OpenSession) -> Abreast[Any, Any] | None:
        if opened.abreast is None:
            return None
        return Abreast(cast(Any, _RUNNERS[model.manifest.task](model, opened.abreast, None)), opened.runs)

    async def measure(self, name: str, *, batch: bool) -> Speed:
        """How fast an open model runs; only while no stream asks it. KeyError for one that is not open."""
        return await asyncio.to_thread(measure, self._runners[name], batch=batch)

    def detector(self, name: str) -> InferenceEngine[DetectionQuery, Detections]:
        """The engine of an open detection model; KeyError for one that is not open."""
        return self._engines[name]

    def embedder(self, name: str) -> InferenceEngine[None, FloatArray]:
        """The engine of an open embedding model; KeyError for one that is not open."""
        return self._engines[name]

    def guesser(self, name: str) -> InferenceEngine[None, Guess]:
        """The engine of an open model that classifies or reads text; KeyError for one that is not open."""
        return self._engines[name]

    def on_device(self, name: str) -> bool:
        """Whether an open model takes pictures that lie on its device."""
        return self._engines[name].on_device

    def items(self) -> Iterator[tuple[str, InferenceEngine[Any, Any]]]:
        """The open engines by the names of their models."""
        return iter(list(self._engines.items()))

    async def close(self) -> None:
        """End every engine."""
        await asyncio.gather(*(engine.close() for engine in self._engines.values()))
