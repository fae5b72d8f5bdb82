"""When a job is done, as far as a script is concerned."""

from typing import Any

import pytest

from kubectl_videojob.following import outcome


def job(phase: str, *, stalled: bool = False, generation: int = 1, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Stalled", "status": str(stalled)}]
    given = {"phase": phase, "reason": "Why", "message": "so", "conditions": conditions, "observedGeneration": 1}
    return {"metadata": {"generation": generation}, "status": {**given, **status}}


@pytest.mark.parametrize(
    ("it", "code"),
    [
        (job("COMPLETED"), 0),
        (job("COMPLETED", finished=True), 0),
        (job("INTERRUPTED", finished=True), 3),
        (job("INTERRUPTED", stalled=True), 3),
        (job("MISCONFIGURED", stalled=True), 3),
        (job("AWAITING", stalled=True), 3),
        (job("DISABLED"), 3),
        (job("INTERRUPTED"), None),
        (job("AWAITING"), None),
        (job("INPROGRESS"), None),
        (job("NOT_STARTED"), None),
        (job("COMPLETED", generation=2), None),
        ({"metadata": {"generation": 1}}, None),
    ],
)
def test_outcomes(it: dict[str, Any], code: int | None) -> None:
    found = outcome(it)
    assert (None if found is None else found.code) == code


def test_an_outcome_says_why() -> None:
    found = outcome(job("INTERRUPTED", stalled=True))
    assert found is not None
    assert found.message == "INTERRUPTED (Why): so"
