"""What Argo CD makes of statuses as the operator writes them: examples/argocd-health.yaml in its version of Lua."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from tests.support.domain import NOW, job, record
from videofleet_api.codes import Reason
from videofleet_api.conditions import Condition
from videofleet_api.phases import Phase
from videofleet_operator.domain.conditions import PoolState, licence_conditions, pool_conditions
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.status import Shown, to_status

SCRIPTS: dict[str, str] = yaml.safe_load(
    (Path(__file__).parents[4] / "examples" / "argocd-health.yaml").read_text(encoding="utf-8")
)["data"]
UNSEEN = ("Progressing", "the operator has not seen this spec yet")
P = Phase
PHASES = [
    (record(P.AWAITING, reason=Reason.WORKERS_FULL), "Progressing"),
    (record(P.AWAITING, reason=Reason.NEVER_FITS), "Degraded"),
    (record(P.STARTING, reason=Reason.ASSIGNED), "Progressing"),
    (record(P.INPROGRESS, reason=Reason.RUNNING), "Healthy"),
    (record(P.INPROGRESS, reason=Reason.RECONNECTING), "Progressing"),
    (record(P.DISCONNECTED, reason=Reason.WORKER_SILENT), "Progressing"),
    (record(P.COMPLETED, finished=True), "Healthy"),
    (record(P.COMPLETED), "Progressing"),
    (record(P.INTERRUPTED, attempt=1), "Progressing"),
    (record(P.INTERRUPTED, finished=True), "Degraded"),
    (record(P.NOT_STARTED, attempt=1), "Progressing"),
    (record(P.NOT_STARTED, attempt=2), "Degraded"),
    (record(P.MISCONFIGURED, attempt=1), "Degraded"),
    (record(P.TOO_MANY_CAMERAS), "Progressing"),
    (record(P.DISABLED, reason=Reason.SCHEDULE), "Suspended"),
]


def health(kind: str, status: dict[str, Any] | None, generation: int = 1) -> tuple[str, str]:
    """What is shown of an object: its health, and in which words."""
    script = SCRIPTS[f"resource.customizations.health.videofleet.io_{kind}"]
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    # What Argo CD has not got either.
    for library in ("io", "os", "debug", "package", "require", "python"):
        lua.globals()[library] = None
    found: dict[str, Any] = {"metadata": {"generation": generation}} | ({} if status is None else {"status": status})
    lua.globals()["obj"] = lua.table_from(found, recursive=True)
    made = lua.execute(script)
    return made["status"], made["message"]


def job_status(it: Record, **spec: Any) -> dict[str, Any]:
    return dict(to_status(job(**spec), it, Shown("rtsp://camera/1"), None, NOW))


def of(conditions: list[Condition]) -> dict[str, Any]:
    return {"observedGeneration": 1, "conditions": [each.wire() for each in conditions]}


@pytest.mark.parametrize(
    ("it", "expected"),
    PHASES,
    ids=lambda value: f"{value.phase}-{value.reason}" if isinstance(value, Record) else None,
)
def test_each_phase_of_a_job(it: Record, expected: str) -> None:
    shown, words = health("VideoJob", job_status(it, restart={"maxAttempts": 2}))
    assert shown == expected
    assert words.startswith(f"{it.phase} (")


def test_every_phase_is_among_them() -> None:
    assert {it.phase for it, _ in PHASES} == set(Phase)


def test_a_job_says_why() -> None:
    it = record(P.AWAITING, reason=Reason.NEVER_FITS, message="no pool offers the step text")
    assert health("VideoJob", job_status(it)) == ("Degraded", "AWAITING (NeverFits): no pool offers the step text")


@pytest.mark.parametrize("kind", ["VideoJob", "WorkerPool", "VideoLicense"])
def test_what_the_operator_has_not_seen_is_on_its_way(kind: str) -> None:
    assert health(kind, None) == UNSEEN
    status = job_status(record(P.INPROGRESS, reason=Reason.RUNNING))
    assert health(kind, status, generation=2) == UNSEEN


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (PoolState(2, 2, 0), "Healthy"),
        (PoolState(2, 1, 0), "Progressing"),
        (PoolState(2, 2, 0, update="1 of 2 workers is of the new template"), "Progressing"),
        (PoolState(2, 1, 1), "Degraded"),
        (PoolState(2, 0, 0, problem="the image cannot be pulled", failing=True), "Degraded"),
        (PoolState(2, 0, 0, problem="no node has room"), "Progressing"),
        (PoolState(2, 2, 0, invalid="spec.template is none"), "Degraded"),
    ],
)
def test_a_pool(state: PoolState, expected: str) -> None:
    made = pool_conditions(state, 1, [], NOW)
    assert health("WorkerPool", of(made)) == (expected, made[0].message)


def test_a_licence() -> None:
    valid = licence_conditions(True, "Valid", "for 4 streams", 1, [], NOW)
    expired = licence_conditions(False, "LicenceInvalid", "expired", 1, [], NOW)
    assert health("VideoLicense", of(valid)) == ("Healthy", "for 4 streams")
    assert health("VideoLicense", of(expired)) == ("Degraded", "expired")
