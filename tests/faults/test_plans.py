"""Every plan of the catalogue ends in the state of the undisturbed run, and breaks no invariant on the way."""

import os
from collections.abc import Awaitable, Callable

import pytest
from _pytest.mark import ParameterSet

from tests.faults.catalogue import PLANS
from tests.faults.conftest import Json, Play
from tests.faults.generated import plan_of
from tests.faults.masking import differences, without_runs
from tests.faults.plans import Plan
from tests.faults.workloads import Workload


def _case(group: str, plan: Plan) -> ParameterSet:
    marks = [pytest.mark.short] * plan.short + [pytest.mark.seeded] * plan.generated
    return pytest.param(plan, id=f"{group}/{plan.name}", marks=marks)


def _seeds() -> list[int]:
    """FAULTS_SEED alone, or the first FAULTS_SEEDS numbers."""
    given = os.environ.get("FAULTS_SEED")
    return [int(given)] if given else list(range(1, 1 + int(os.environ.get("FAULTS_SEEDS", "12"))))


CASES = [_case(group, plan) for group, plans in PLANS.items() for plan in plans]
CASES += [_case("generated", plan_of(seed)) for seed in _seeds()]


@pytest.mark.parametrize("plan", CASES)
async def test_plan(plan: Plan, play: Play, undisturbed: Callable[[Workload], Awaitable[Json]]) -> None:
    expected = await undisturbed(plan.workload)
    found = await play(plan)
    assert differences(found, without_runs(expected) if plan.hasty else expected) == []
