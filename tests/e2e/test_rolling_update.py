"""A pool is updated while cameras run: no stream's results have a gap."""

import itertools
import json
from contextlib import ExitStack
from typing import Any

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import Moves, applied, await_phase, eventually, job_manifest, status
from videofleet_archive import log

CAMERAS = ("cam1", "cam2", "cam3", "cam4")
SAMPLING = {"mode": "fps", "value": 1}
"""So few frames that two processors analyse them twice over while each stream runs on two workers."""
LARGEST_GAP = 2.0 + 0.5 / 10
"""Seconds between two results that follow each other: one is missing, and half of what lies between two frames of the
camera. On a machine that is too busy for its streams more are missing, wherever in them."""
BEGINNING = 2
"""Gaps that belong to the change of workers besides the one between them."""
AFTERWARDS = 6
"""Results of the new epoch that each stream must have before it is judged."""


def results(deployment: Deployment, seen: dict[str, Any]) -> list[tuple[int, float]]:
    """Epoch and time of capture of each result of a stream, in the order of the log."""
    found: list[tuple[int, float]] = []
    epoch = 0
    for segment in sorted((deployment.results(seen) / "chunks").iterdir()):
        data = segment.read_bytes()
        epoch = log.epoch_of(data) or epoch
        found += [(epoch, json.loads(document)["stream_info"]["capture_time"]) for document in log.documents(data)]
    return found


def gaps(told: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    """Seconds between results: where the last epoch began, and elsewhere."""
    changed = next(index for index, (epoch, _) in enumerate(told) if epoch == told[-1][0])
    found = [later - earlier for (_, earlier), (_, later) in itertools.pairwise(told)]
    at, behind = changed - 1, changed + BEGINNING
    return found[at:behind], found[:at] + found[behind:]


def test_a_rolling_update_leaves_no_gap_in_four_live_streams(deployment: Deployment, moves: Moves) -> None:
    names = [f"rolling-{camera}" for camera in CAMERAS]
    with ExitStack() as stack:
        for name, camera in zip(names, CAMERAS, strict=True):
            manifest = job_manifest(name, deployment.namespace, deployment.rtsp(camera), sampling=SAMPLING)
            stack.enter_context(applied(manifest))
        before = {name: await_phase(name, deployment.namespace, "INPROGRESS") for name in names}
        for name in names:
            eventually(lambda name=name: len(results(deployment, before[name])) > AFTERWARDS, f"{name} has results")
        old = {pod["metadata"]["uid"] for pod in deployment.workers()}
        # Another request is another template; it changes nothing that could be seen in results.
        patch = {"spec": {"resources": {"requests": {"cpu": "251m"}}}}
        tools.must(
            "kubectl",
            "patch",
            "workerpools.videofleet.io",
            "default",
            "-n",
            deployment.namespace,
            "--type=merge",
            "-p",
            json.dumps(patch),
        )
        eventually(lambda: not old & {pod["metadata"]["uid"] for pod in deployment.workers()}, "workers are new")
        sizes = {name: len(results(deployment, before[name])) for name in names}
        for name in names:
            eventually(
                lambda name=name: len(results(deployment, before[name])) > sizes[name] + AFTERWARDS,
                f"{name} goes on",
            )
        at_change: dict[str, list[float]] = {}
        elsewhere: list[float] = []
        for name in names:
            after = status(name, deployment.namespace)
            assert after["phase"] == "INPROGRESS"
            assert after["epoch"] > before[name]["epoch"]
            assert moves.phases(name)[-1] == "INPROGRESS"
            assert "DISCONNECTED" not in moves.phases(name)
            told = results(deployment, before[name])
            epochs = [epoch for epoch, _ in itertools.groupby(told, key=lambda one: one[0])]
            assert epochs[-2:] == [before[name]["epoch"], after["epoch"]]
            times = [time for _, time in told]
            assert times == sorted(set(times)), "no frame is told twice"
            at_change[name], others = gaps(told)
            elsewhere += others
        largest = max(LARGEST_GAP, *elsewhere)
        large = {name: found for name, found in at_change.items() if max(found) > largest}
        assert not large, f"seconds without a result where the worker changed: {large}; elsewhere {max(elsewhere):.2f}"
