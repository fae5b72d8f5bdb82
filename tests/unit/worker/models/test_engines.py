"""Models are opened when they are needed, once, and what does not run is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import channel_means, describe, input_of
from videofleet_worker.models.engines import Engines, ModelDoesNotRunError
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import Model, ModelRegistry
from videofleet_worker.models.session import OpenSession, SessionLimits, open_session

ON_CPU = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
NAMES = ("first", "second")


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    for name in NAMES:
        input_ = input_of(8, 6)
        channel_means(tmp_path / name, "vector", **input_)
        describe(tmp_path / name, name, "embedding", "embedding", {"embedding": "vector"}, input=input_)
    return ModelRegistry.load([tmp_path])


class Opening:
    """Opens sessions, and notes which."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, model: Model) -> OpenSession:
        self.opened.append(model.name)
        return open_session(model, ON_CPU, SessionLimits(threads=1))


@pytest.fixture
async def engines(registry: ModelRegistry) -> AsyncIterator[tuple[Engines, Opening]]:
    opening = Opening()
    engines = Engines(registry, opening)
    yield engines, opening
    await engines.close()


async def test_a_model_is_opened_once_however_many_need_it(engines: tuple[Engines, Opening]) -> None:
    shared, opening = engines
    assert opening.opened == []
    await asyncio.gather(*(shared.open(["first"]) for _ in range(4)), shared.open(NAMES))
    assert sorted(opening.opened) == ["first", "second"]
    assert [name for name, _ in shared.items()] == ["first", "second"]
    assert {choice.name for choice in shared.choices} == {"cpu"}
    vector = await shared.embedder("second").ask("a stream", np.full((3, 6, 8), 9, np.uint8), None)
    np.testing.assert_allclose(vector, [9, 9, 9])


async def test_what_is_not_open_is_not_there(engines: tuple[Engines, Opening]) -> None:
    with pytest.raises(KeyError):
        engines[0].detector("first")


async def test_a_file_that_went_away_is_told_with_the_models_name(
    registry: ModelRegistry, engines: tuple[Engines, Opening]
) -> None:
    registry["first"].path.unlink()
    with pytest.raises(ModelDoesNotRunError, match=r"model first does not run: .*NO_SUCHFILE"):
        await engines[0].open(["first"])
    await engines[0].open(["second"])
