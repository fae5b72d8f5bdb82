"""`make bench-gpu`: what it refuses, how it searches, and that its code runs, on the processor in the GPU's place."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.gpu.__main__ import MISSING, PAGE, RESULTS
from tests.bench.gpu.bench import missing
from tests.bench.gpu.streams import Trial, most
from videofleet_worker.models.providers import Gpu, ProviderFacts, probe

REPOSITORY = Path(__file__).parents[3]
WITHOUT = ProviderFacts(("CPUExecutionProvider",), gpu_error="no driver")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench.gpu", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def written() -> list[bytes | None]:
    return [path.read_bytes() if path.exists() else None for path in (RESULTS, PAGE)]


def test_everything_that_is_missing_is_named_with_what_would_help() -> None:
    told = "; ".join(missing(WITHOUT))
    assert "an NVIDIA GPU with its driver (NVML says: no driver)" in told
    assert "onnxruntime-gpu" in told
    whole = ProviderFacts(("CUDAExecutionProvider",), (Gpu("H200", 2**37),))
    assert not [one for one in missing(whole) if "GPU" in one or "ONNX" in one]


def test_without_a_gpu_it_measures_and_writes_nothing() -> None:
    if missing(probe()) == []:
        pytest.fail("this machine has a GPU: the test is for those that have none")
    before = written()
    refused = run()
    assert refused.returncode == MISSING
    assert "measures nothing here. Missing: an NVIDIA GPU" in refused.stderr
    assert written() == before


def test_a_dry_run_goes_all_the_way_and_writes_nothing() -> None:
    before = written()
    ran = run("--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert "people have a partner with an IoU of 0.9" in ran.stderr
    assert "| streams of 1 frames a second held" in ran.stdout
    assert "the processor (dry run)" in ran.stdout
    assert written() == before


@pytest.mark.parametrize("bound", [1, 2, 7, 40, 167, 1000])
@pytest.mark.parametrize("holds", [0, 1, 3, 39, 120, 5000])
async def test_the_most_that_is_held_is_found_to_a_twentieth(bound: int, holds: int) -> None:
    tried: list[int] = []

    async def attempt(streams: int) -> Trial:
        tried.append(streams)
        return Trial(streams, offered=100, times=[0.01 if streams <= holds else 9.0] * 100)

    found = await most(attempt, bound)
    reachable = min(bound, holds)
    assert found.held == (reachable > 0)
    assert all(1 <= number <= bound for number in tried)
    assert len(set(tried)) == len(tried)
    assert reachable - max(1, reachable // 19) < found.streams <= max(1, reachable)


@pytest.mark.parametrize(
    ("trial", "held"),
    [
        (Trial(1, offered=100, times=[0.1] * 99), True),
        (Trial(1, offered=100, times=[0.1] * 97), False),
        (Trial(1, offered=100, times=[0.1] * 90 + [0.2] * 10), False),
        (Trial(1, offered=100, times=[0.1] * 100, failure="lost"), False),
        (Trial(1), False),
    ],
    ids=["well", "frames dropped", "too late", "failed", "nothing came"],
)
def test_what_counts_as_held(trial: Trial, held: bool) -> None:
    assert trial.held == held
