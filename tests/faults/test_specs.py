"""Every property of a VideoJob and a WorkerPool set, changed and reverted, as Acto does (SOSP 2023).

For each property there is an object of its own. The API server takes a value or refuses it with a sentence, the
operator goes through all of it without a crash and looks at every spec, and in the end each object is as the one that
was never touched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.operator.harness import JOBS, NOWHERE, POOLS
from tests.faults.masking import job_state, pool_state
from tests.faults.plans import Plan
from tests.faults.specs import Change, Json, changes, patch
from tests.faults.stage import Stage
from tests.faults.workloads import Workload
from videofleet_kube import ApiSession, from_kubeconfig
from videofleet_kube.errors import BadRequest, Invalid
from videofleet_kube.resources import Resource

UNTOUCHED = "untouched"
COSTLY = {("minWorkers",): 2, ("maxWorkers",): 3, ("workers",): 2}
"""A pool of 10,000 pods is for another test."""
WAYS = ("generation", "observedGeneration", "run", "lastError")
"""What tells how often a spec was edited, and what happened on the way."""
JOB: Json = {
    "source": {"url": "rtsp://camera.example/1"},
    "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}],
    "sampling": {"mode": "fps", "value": 5},
}
POOL: Json = {"accelerator": {"type": "none"}, "nodeSelector": NOWHERE, "jobLabels": {"for": "nobody"}}
RECORDED: Json = {"source": {"url": "https://files.example/a.mp4"}}
COMPANIONS: dict[tuple[str, ...], Json] = {
    ("source", "urlSecretRef"): {"source": {"url": None}},
    ("source", "images"): {"source": {"url": None}},
    **{("range", *path): RECORDED for path in ((), ("start",), ("end",), ("unit",))},
}
"""What has to change along with a property for its values to be possible at all."""


class Edits:
    """A stage without a workload, and the objects of one kind that are edited on it."""

    def __init__(self, stage: Stage, resource: Resource, spec: Json, mask: Callable[[Json], Json]) -> None:
        self.stage = stage
        self.resource = resource
        self.refusals: list[str] = []
        self.accepted = 0
        self._spec = spec
        self._mask = mask

    async def make(self, name: str) -> None:
        """An object with the usual spec."""
        create = self.stage.world.job if self.resource is JOBS else self.stage.world.pool
        await create(name, **self._spec)

    async def set(self, change: Change, value: Any) -> None:
        """Give a property a value; what the API server says against it is noted."""
        spec = patch(change.path, value)
        extra = COMPANIONS.get(change.path, {})
        merged = {**spec, **{key: {**each, **spec.get(key, {})} for key, each in extra.items()}}
        try:
            await self.stage.world.edit(self.resource, change.name, **merged)
            self.accepted += 1
        except (Invalid, BadRequest) as error:
            self.refusals.append(str(error))

    async def revert(self, change: Change) -> None:
        """Back to the usual spec, in one write."""
        api, namespace = self.stage.world.api, self.stage.world.namespace
        untouched = await api.get(self.resource, namespace, UNTOUCHED)
        assert untouched is not None
        replaced = [{"op": "replace", "path": "/spec", "value": untouched["spec"]}]
        await api.patch(self.resource, namespace, change.name, replaced)

    def unseen(self) -> str | None:
        """An object whose newest spec the operator has not looked at."""
        for obj in self.objects():
            seen = (obj.get("status") or {}).get("observedGeneration")
            if seen != obj["metadata"]["generation"]:
                return f"{obj['metadata']['name']}: spec {obj['metadata']['generation']}, seen {seen}"
        return None

    def different(self) -> str | None:
        """An object that is not as the untouched one."""
        states = {obj["metadata"]["name"]: self._state(obj) for obj in self.objects()}
        expected = states[UNTOUCHED]
        for name, state in states.items():
            wrong = {key: (value, expected[key]) for key, value in state.items() if value != expected[key]}
            if wrong:
                return f"{name} differs from {UNTOUCHED}: {wrong}"
        return None

    def objects(self) -> list[Json]:
        """All of them, as the observer saw them last."""
        return list(self.stage.observer.objects[self.resource.plural].values())

    def _state(self, obj: Json) -> Json:
        return {key: value for key, value in self._mask(obj).items() if key not in WAYS and key != "selector"}


CASES = [
    pytest.param(JOBS, JOB, job_state, id="VideoJob"),
    pytest.param(POOLS, POOL, pool_state, id="WorkerPool"),
]


@pytest.mark.seeded
@pytest.mark.parametrize(("resource", "spec", "mask"), CASES)
async def test_every_property_set_changed_and_reverted(
    resource: Resource,
    spec: Json,
    mask: Callable[[Json], Json],
    api: ApiSession,
    kubeconfig: str,
    namespaces: Callable[[], str],
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    wanted = changes(resource.plural, seed, COSTLY)
    plan = Plan(f"specs-{resource.plural}-{seed}", Workload("none", ()), lease=20)
    stage = Stage(plan, api, await from_kubeconfig(kubeconfig).load(), namespaces(), tmp_path / "stage")
    edits = Edits(stage, resource, spec, mask)
    async with stage.playing():
        if resource is JOBS:
            await stage.world.pool("pool", capacityPerWorker=1024)
        for name in (UNTOUCHED, *(change.name for change in wanted)):
            await edits.make(name)
        await stage.until(edits.unseen, "every object is seen")
        for step in range(2):
            await asyncio.gather(*(edits.set(change, change.values[step]) for change in wanted))
            await stage.until(edits.unseen, f"every spec of step {step} is seen")
        await asyncio.gather(*(edits.revert(change) for change in wanted))
        await stage.until(edits.unseen, "every reverted spec is seen")
        await stage.until(edits.different, "reverted objects are as the untouched one")
        await stage.check()
    assert edits.accepted > len(wanted) / 2, f"hardly a value was accepted: {edits.refusals}"
    wordless = [refusal for refusal in edits.refusals if len(refusal.split()) < 4]
    assert not wordless, "refused without a sentence"
