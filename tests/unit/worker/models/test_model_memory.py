"""What a model takes of the memory, seen in a process of its own: what others have left there would hide it."""

import json
import subprocess
import sys

import pytest

MIB = 1024 * 1024
OPEN = """
import asyncio, json
import numpy as np
from pathlib import Path
from videofleet_worker.memory import give_back
from videofleet_worker.models.engines import Engines
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import BUILTIN_FOLDER, DEFAULT_MODELS, ModelRegistry
from videofleet_worker.models.session import SessionLimits, open_session

def own():
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) * 1024

def run(session, model):
    wanted = model.manifest.input
    session.run(None, {wanted.name: np.zeros(wanted.shape(1, wanted.sizes[0]), wanted.type)})

async def main():
    registry, opened = ModelRegistry.load((BUILTIN_FOLDER,)), []
    on_cpu = choose("cpu", ProviderFacts(("CPUExecutionProvider",)))

    def keep(model):
        opened.append(open_session(model, on_cpu, SessionLimits(threads=2)))
        return opened[0]

    engines = Engines(registry, keep)
    name = DEFAULT_MODELS["detect"]
    await engines.open([name])
    found = {"opened": own()}
    give_back()
    found["given_back"] = own()
    run(opened[0].session, registry[name])
    found["whole"] = own()
    run(opened[0].abreast, registry[name])
    found["abreast"] = own()
    await engines.close()
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, timeout=300, check=True)
    figures: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_what_reading_a_model_took_has_gone_back(found: dict[str, int]) -> None:
    assert found["opened"] - found["given_back"] < 8 * MIB


def test_sessions_share_the_memory_that_runs_need(found: dict[str, int]) -> None:
    assert found["whole"] - found["given_back"] > 8 * MIB, "a run needs some"
    assert found["abreast"] - found["whole"] < 4 * MIB, "another session has it from the first one"
