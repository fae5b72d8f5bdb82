"""How `helm test` judges the job that it ran."""

import importlib.util
from types import ModuleType

import pytest

from tests.unit.chart.rendering import CHART, Json


@pytest.fixture(scope="module")
def run_job() -> ModuleType:
    """The script of the chart."""
    spec = importlib.util.spec_from_file_location("run_job", CHART / "files/run_job.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("status", "over", "wrong"),
    [
        ({}, False, "the job is not looked at by any operator and not COMPLETED"),
        ({"phase": "INPROGRESS"}, False, "the job is INPROGRESS and not COMPLETED"),
        ({"phase": "NOT_STARTED", "reason": "SourceTimeout"}, False, "the job is NOT_STARTED and not COMPLETED"),
        ({"phase": "NOT_STARTED", "reason": "RetriesExhausted"}, True, "the job is NOT_STARTED and not COMPLETED"),
        ({"phase": "MISCONFIGURED"}, True, "the job is MISCONFIGURED and not COMPLETED"),
        ({"phase": "INTERRUPTED", "finished": True}, True, "the job is INTERRUPTED and not COMPLETED"),
        ({"phase": "COMPLETED", "finished": True}, True, "the job completed without having analysed a frame"),
        ({"phase": "COMPLETED", "finished": True, "progress": {"processedFrames": 40}}, True, None),
    ],
)
def test_a_job_passes_only_when_it_completed_with_frames(
    run_job: ModuleType, status: Json, over: bool, wrong: str | None
) -> None:
    assert run_job.is_over(status) is over
    assert run_job.verdict(status) == wrong


def test_the_job_runs_once(run_job: ModuleType) -> None:
    spec = run_job.manifest("name", "http://10.0.0.1:8000/clip.mp4")["spec"]
    assert spec["singlePass"] is True
    assert [step["model"] for step in spec["analytics"][0]["steps"]] == ["detect", "track"]
