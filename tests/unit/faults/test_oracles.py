"""The oracles of the fault suite say something when an invariant is broken, and nothing when none is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.oracles import Invariants

Json = dict[str, Any]
WORKER = {"name": "pool-0-0", "id": "pod-1", "instance": "i1", "pool": "ns/pool"}


def status(phase: str, *, epoch: int, transitions: int, worker: Json | None = None, generation: int = 1) -> Json:
    """The status of a job, on the one worker where its phase is an assigned one."""
    held = {"worker": worker or WORKER} if phase in ("STARTING", "INPROGRESS", "DISCONNECTED") else {}
    told = {"phase": phase, "epoch": epoch, "transitions": transitions, "observedGeneration": generation, "run": 1}
    return {**told, **held}


def job(name: str, told: Json | None, slots: int = 1) -> Json:
    """A VideoJob."""
    made = {"metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "spec": {"slots": slots}}
    return made if told is None else {**made, "status": told}


def seen(*versions: Json, capacity: int = 2, limit: int | None = None) -> list[str]:
    """What the oracles have to say of these versions."""
    invariants = Invariants(limit=limit)
    invariants.pool({"metadata": {"name": "pool"}, "spec": {"capacityPerWorker": capacity}})
    for version in versions:
        invariants.job(version)
    return invariants.violations


STARTED = job("a", status("STARTING", epoch=1, transitions=1))
RUNS = job("a", status("INPROGRESS", epoch=1, transitions=2))


def test_an_ordinary_life_breaks_nothing() -> None:
    over = job("a", status("COMPLETED", epoch=1, transitions=3))
    assert seen(job("a", None), STARTED, RUNS, RUNS, over, limit=1) == []


BROKEN = {
    "no edge": ([STARTED, RUNS, job("a", status("STARTING", epoch=2, transitions=3))], "no edge from INPROGRESS"),
    "a skipped transition": ([STARTED, job("a", status("INPROGRESS", epoch=1, transitions=3))], "went up by 2"),
    "an epoch goes back": (
        [job("a", status("STARTING", epoch=4, transitions=1)), job("a", status("INPROGRESS", epoch=3, transitions=2))],
        "epoch went back from 4 to 3",
    ),
    "a generation that never was": ([job("a", status("AWAITING", epoch=0, transitions=0, generation=3))], "3 of 1"),
    "the status is lost": ([STARTED, job("a", {})], "its status is gone"),
    "an epoch twice": (
        [
            STARTED,
            job("a", status("NOT_STARTED", epoch=1, transitions=2)),
            job("a", status("STARTING", epoch=1, transitions=3)),
        ],
        "given out twice",
    ),
}


@pytest.mark.parametrize(("versions", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_must_not_be(versions: list[Json], said: str) -> None:
    violations = seen(*versions)
    assert any(said in each for each in violations), violations


def test_more_than_a_worker_has_room_for() -> None:
    others = [job(name, status("STARTING", epoch=1, transitions=1)) for name in ("b", "c")]
    assert seen(STARTED, *others) == ["c: worker pool-0-0 was given 3 of 2 slots"]
    assert seen(STARTED, job("b", status("STARTING", epoch=1, transitions=1), slots=2)) != []


def test_what_an_earlier_process_of_the_pod_held_is_free() -> None:
    later = {**WORKER, "instance": "i2"}
    jobs = [job(name, status("STARTING", epoch=1, transitions=1, worker=later)) for name in ("b", "c")]
    assert seen(STARTED, *jobs) == []


def test_a_move_takes_room_on_both_workers_and_brings_its_epoch() -> None:
    target = {**WORKER, "name": "pool-1-0", "id": "pod-2"}
    moving = {**RUNS["status"], "move": {"worker": target, "epoch": 2}}
    moved = {**status("INPROGRESS", epoch=2, transitions=2, worker=target)}
    assert seen(STARTED, RUNS, job("a", moving), job("a", moved)) == []
    there = [job(name, status("STARTING", epoch=1, transitions=1, worker=target)) for name in ("b", "c")]
    assert seen(*there, STARTED, RUNS, job("a", moving)) == ["a: worker pool-1-0 was given 3 of 2 slots"]


def test_more_streams_than_the_licence_allows() -> None:
    second = job("b", status("STARTING", epoch=1, transitions=1))
    assert seen(STARTED, second, limit=2) == []
    assert seen(STARTED, second, limit=1) == ["b: stream 2 was started with a licence for 1"]


def test_a_phase_that_no_worker_reported() -> None:
    invariants = Invariants()
    invariants.pool({"metadata": {"name": "pool"}, "spec": {"capacityPerWorker": 2}})
    for version in (STARTED, RUNS):
        invariants.job(version)
    invariants.check_workers([], [])
    assert invariants.violations == ["a: no worker reported the first frame of epoch 1 that status tells"]


def test_epochs_that_began_twice_or_in_the_wrong_order() -> None:
    invariants = Invariants()
    invariants.check_epochs({"fine": [1, 2, 5], "twice": [1, 1], "wrong": [2, 1]})
    assert len(invariants.violations) == 2
