"""What errors of workers make of a job: phase, reason, attempts, and when it is given up."""

import asyncio

import pytest

from tests.cluster.operator.harness import JOBS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import Step, crash, end, fail, first_frame, reconnect, refuse
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobState
from videofleet_operator.domain.times import parse_time

BEFORE = {
    ErrorCode.AUTH: ("NOT_STARTED", "SourceAuth"),
    ErrorCode.NOT_FOUND: ("NOT_STARTED", "SourceNotFound"),
    ErrorCode.TIMEOUT: ("NOT_STARTED", "SourceTimeout"),
    ErrorCode.TLS: ("NOT_STARTED", "SourceTls"),
    ErrorCode.CODEC: ("MISCONFIGURED", "SourceCodec"),
    ErrorCode.NETWORK: ("NOT_STARTED", "SourceNetwork"),
    ErrorCode.STALLED: ("NOT_STARTED", "SourceStalled"),
    ErrorCode.UNSUPPORTED: ("MISCONFIGURED", "SourceUnsupported"),
    ErrorCode.FORBIDDEN: ("NOT_STARTED", "SourceForbidden"),
    ErrorCode.EMPTY: ("NOT_STARTED", "SourceEmpty"),
    ErrorCode.BAD_PARAMETER: ("MISCONFIGURED", "BadParameter"),
    ErrorCode.UNKNOWN_MODEL: ("MISCONFIGURED", "UnknownModel"),
    ErrorCode.INTERNAL: ("NOT_STARTED", "WorkerError"),
}
"""Phase and reason of each error before the first frame; after it the phase is INTERRUPTED."""


@pytest.mark.acceptance("F53", "F56", "F60", "F68")
async def test_every_error_code_has_its_phase_and_reason(world: World) -> None:
    await world.pool(capacityPerWorker=64)
    await world.until_workers(1)
    assert BEFORE.keys() == set(ErrorCode)
    for code in ErrorCode:
        name = code.value.lower().replace("_", "-")
        for kind, script in _scripts(code).items():
            world.scripts[f"{name}-{kind}"] = [script]
            await world.job(f"{name}-{kind}", restart={"delay": 300})
    for code, (phase, reason) in BEFORE.items():
        name = code.value.lower().replace("_", "-")
        before = await world.until(f"{name}-before", phase, reason)
        assert world.phases(f"{name}-before") == ["STARTING", phase]
        assert before["lastError"]["code"] == code.value
        assert before["message"] == before["lastError"]["message"] == f"the message of {code.value}"
        assert conditions(before)["Stalled"] == str(phase == "MISCONFIGURED")
        await world.until(f"{name}-after", "INTERRUPTED", reason)
        assert world.phases(f"{name}-after") == ["STARTING", "INPROGRESS", "INTERRUPTED"]
        await world.until(f"{name}-refused", "MISCONFIGURED", reason)
        assert world.phases(f"{name}-refused") == ["STARTING", "MISCONFIGURED"]


def _scripts(code: ErrorCode) -> dict[str, list[Step]]:
    message = f"the message of {code.value}"
    return {
        "before": [fail(code, message)],
        "after": [first_frame(), fail(code, message, after=0.2)],
        "refused": [refuse(code, message)],
    }


@pytest.mark.acceptance("F68")
async def test_an_error_right_after_the_first_frame_takes_both_edges(world: World) -> None:
    """The operator may hear of the frame and the error at once; there is no edge from STARTING to INTERRUPTED."""
    world.scripts["camera"] = [[first_frame(), fail(ErrorCode.NETWORK, after=0)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", restart={"delay": 300})
    await world.until("camera", "INTERRUPTED", "SourceNetwork")
    assert world.phases("camera") == ["STARTING", "INPROGRESS", "INTERRUPTED"]


async def test_an_end_without_a_frame_is_an_empty_source(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    world.scripts["empty"] = [[]]
    await world.job("empty", restart={"delay": 300})
    await world.until("empty", "STARTING")
    await eventually(lambda: "empty" in world.worker().assigned, "the worker has it")
    job = world.worker().job("empty")
    job._change(state=JobState.ENDED)
    status = await world.until("empty", "NOT_STARTED", "SourceEmpty")
    assert status["lastError"]["code"] == "EMPTY"


@pytest.mark.acceptance("F69")
async def test_tried_again_with_growing_waits_until_it_is_given_up(world: World) -> None:
    world.scripts["camera"] = [[fail(ErrorCode.NOT_FOUND)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", restart={"delay": 0.5, "maxAttempts": 3})
    status = await world.until("camera", "NOT_STARTED", attempt=3)
    assert [seen.brief for seen in world.history("camera") if seen.phase == "NOT_STARTED"] == [
        ("NOT_STARTED", "SourceNotFound", epoch) for epoch in (1, 2, 3)
    ]
    # NOT_STARTED goes straight to a worker when its wait is over.
    assert world.phases("camera") == ["STARTING", "NOT_STARTED"] * 3
    starts, fails = world.began("camera", "STARTING"), world.began("camera", "NOT_STARTED")
    waits = [start - failed for start, failed in zip(starts[1:], fails, strict=False)]
    assert waits[0] >= 0.4, waits
    assert waits[1] >= 0.85, waits
    assert "nextRetryTime" not in status
    stalled = next(each for each in status["conditions"] if each["type"] == "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "RetriesExhausted")
    await asyncio.sleep(2.5)
    assert world.scripts.seen["camera"] == [1, 2, 3]


async def test_more_attempts_free_a_job_that_was_given_up(world: World) -> None:
    world.scripts["camera"] = [[fail(ErrorCode.NOT_FOUND)], [first_frame()]]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", restart={"delay": 0.2, "maxAttempts": 1})
    await world.until("camera", "NOT_STARTED", attempt=1)
    await world.edit(JOBS, "camera", restart={"maxAttempts": 5})
    await world.until("camera", "INPROGRESS", epoch=2)


@pytest.mark.acceptance("F16", "F55", "V81")
async def test_an_interrupted_single_pass_is_over(world: World) -> None:
    world.scripts["file"] = [[first_frame(), fail(ErrorCode.CODEC, "frame 7 cannot be decoded", after=0.2)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("file", singlePass=True)
    status = await world.until("file", "INTERRUPTED", "SourceCodec")
    assert status["finished"] is True
    expected = {"Ready": "False", "Reconciling": "False", "Stalled": "True", "Scheduled": "False", "Failed": "True"}
    assert conditions(status).items() >= expected.items()
    await asyncio.sleep(1.5)
    assert world.scripts.seen["file"] == [1]


async def test_wrong_credentials_wait_a_minute(world: World) -> None:
    world.scripts["camera"] = [[fail(ErrorCode.AUTH)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", restart={"delay": 0.1})
    status = await world.until("camera", "NOT_STARTED", "SourceAuth")
    assert parse_time(status["nextRetryTime"]) - parse_time(status["since"]) >= 60


async def test_a_source_that_is_reconnected_keeps_phase_and_epoch(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", "Running")
    await world.go_on("camera", reconnect())
    lost = await world.until("camera", "INPROGRESS", "Reconnecting")
    assert conditions(lost)["Ready"] == "False"
    assert "the camera is away" in lost["message"]
    await world.go_on("camera", first_frame())
    back = await world.until("camera", "INPROGRESS", "Running", epoch=1, message=None)
    assert conditions(back)["Ready"] == "True"
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_a_job_that_crashes_its_worker_starts_again(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS", epoch=1)
    await world.go_on("camera", crash())
    status = await world.until("camera", "INPROGRESS", epoch=2)
    lost = next(seen for seen in world.history("camera") if seen.phase == "DISCONNECTED")
    assert (lost.status["reason"], lost.status["suspicion"]) == ("WorkerCrashed", 1)
    assert status["worker"]["instance"] == world.worker().instance != lost.status["worker"]["instance"]
    assert status["attempt"] == 0, "a lost worker is nobody's attempt"
    assert world.scripts.seen["camera"] == [1, 2], "the new process was never given the old epoch"


@pytest.mark.parametrize("single_pass", [True, False])
async def test_an_end_while_the_operator_was_not_told_is_not_lost(world: World, single_pass: bool) -> None:
    """The stream breaks before the end; the inventory of the next connection tells of it."""
    world.scripts["file"] = [[first_frame()], [first_frame(), end(60)]]
    await world.pool()
    await world.until_workers(1)
    await world.job("file", singlePass=single_pass, restart={"delay": 300})
    await world.until("file", "INPROGRESS")
    worker = world.worker()
    worker.go_silent()
    worker.job("file").ended()
    await asyncio.sleep(0.5)
    assert world.last("file")["phase"] == "INPROGRESS"
    worker.speak()
    await world.until("file", "COMPLETED", epoch=1)
