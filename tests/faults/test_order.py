"""The order in which the same specs come does not change where everything ends."""

import random

import pytest

from tests.faults.conftest import Json, Play
from tests.faults.masking import differences, without_runs
from tests.faults.plans import Plan
from tests.faults.workloads import MIXED, Act, Add, Workers, Workload

JOBS = [change for change in MIXED.acts[0].changes if isinstance(change, Add)]
POOL = next(change for change in MIXED.acts[0].changes if isinstance(change, Workers))


def _in_order(seed: int) -> Workload:
    changes = [POOL, *JOBS]
    random.Random(seed).shuffle(changes)
    return Workload(f"order-{seed}", (Act(tuple(changes), MIXED.acts[0].expect),))


@pytest.mark.parametrize("seed", range(3))
async def test_the_same_specs_in_another_order(seed: int, play: Play, in_order: Json) -> None:
    found = await play(Plan(f"order-{seed}", _in_order(seed), hasty=True))
    assert differences(found, in_order) == []


@pytest.fixture
async def in_order(play: Play, references: dict[str, Json]) -> Json:
    """The end state when they come as they are written."""
    if "order" not in references:
        workload = Workload("in-order", MIXED.acts[:1])
        references["order"] = without_runs(await play(Plan("in-order", workload)))
    return references["order"]
