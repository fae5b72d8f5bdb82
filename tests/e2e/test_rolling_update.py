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
camera."""
AFTERWARDS = 6
"""Results of the new epoch that each stream must have before it is judged."""


def chunks(deployment: Deployment, seen: dict[str, Any]) -> tuple[list[float], list[int]]:
    """Capture times of a stream's results, and the epochs that wrote them, in the order of the log."""
    times: list[float] = []
    epochs: list[int] = []
    for segment in sorted((deployment.results(seen) / "chunks").iterdir()):
        data = segment.read_bytes()
        epochs += [epoch for epoch in [log.epoch_of(data)] if epoch is not None]
        times += [json.loads(document)["stream_info"]["capture_time"] for document in log.documents(data)]
    return times, epochs


def test_a_rolling_update_leaves_no_gap_in_four_live_streams(deployment: Deployment, moves: Moves) -> None:
    names = [f"rolling-{camera}" for camera in CAMERAS]
    with ExitStack() as stack:
        for name, camera in zip(names, CAMERAS, strict=True):
            manifest = job_manifest(name, deployment.namespace, deployment.rtsp(camera), sampling=SAMPLING)
            stack.enter_context(applied(manifest))
        before = {name: await_phase(name, deployment.namespace, "INPROGRESS", 240) for name in names}
        for name in names:
            eventually(
                lambda name=name: len(chunks(deployment, before[name])[0]) > AFTERWARDS, 60, f"{name} has results"
            )
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
        eventually(lambda: not old & {pod["metadata"]["uid"] for pod in deployment.workers()}, 400, "workers are new")
        sizes = {name: len(chunks(deployment, before[name])[0]) for name in names}
        for name in names:
            eventually(
                lambda name=name: len(chunks(deployment, before[name])[0]) > sizes[name] + AFTERWARDS,
                240,
                f"{name} goes on",
            )
        for name in names:
            after = status(name, deployment.namespace)
            assert after["phase"] == "INPROGRESS"
            assert after["epoch"] > before[name]["epoch"]
            assert moves.phases(name)[-1] == "INPROGRESS"
            assert "DISCONNECTED" not in moves.phases(name)
            times, epochs = chunks(deployment, before[name])
            assert epochs[-2:] == [before[name]["epoch"], after["epoch"]]
            assert times == sorted(set(times)), "no frame is told twice"
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            large = {index: round(gap, 2) for index, gap in enumerate(gaps) if gap > LARGEST_GAP}
            assert not large, f"{name}: seconds without a result behind these of {len(times)} results: {large}"
