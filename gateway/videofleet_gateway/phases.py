"""What the ten phases of a VideoJob are called in each reference interface: one table for all of them. Pure.

Which row a job is in depends on more than its phase: whether anything will run it again, who disabled it, whether it
has results. `Standing` holds that.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, Self

from videofleet_api.codes import Reason
from videofleet_api.conditions import ConditionStatus
from videofleet_api.phases import Phase
from videofleet_api.results import FinishReason
from videofleet_api.videojob import VideoJobSpec, VideoJobStatus


class TaskStatus(StrEnum):
    """Status of a task of the hosted video API (V)."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class StreamStatus(IntEnum):
    """Status of a stream of Luna Video Agent (L), in the order in which its documents name them."""

    PENDING = 0
    IN_PROGRESS = 1
    DONE = 2
    RESTART = 3
    FAILURE = 4
    STOP = 5
    HANDLER_LOST = 6
    UNKNOWN = 7
    PAUSED = 8


class StepStatus(StrEnum):
    """Status of a video in the ingest, analyze and transform pipeline (P)."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


TASK_OF_FINISH: Final[dict[FinishReason, TaskStatus]] = {
    "stop": TaskStatus.SUCCEEDED,
    "max_frames": TaskStatus.SUCCEEDED,
    "error": TaskStatus.FAILED,
    "cancelled": TaskStatus.CANCELLED,
}
"""Closed results say what became of a task, whatever the phase does later."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a job its status in any interface follows from."""

    phase: Phase = Phase.AWAITING
    single_pass: bool = False
    over: bool = False
    """Nothing runs it again by itself: its one pass is over, or its attempts are used up."""
    scheduled_off: bool = False
    """DISABLED by its schedule and not by a user."""
    begun: bool = False
    """Frames of it have been analysed."""
    untouched: bool = False
    """No worker was ever given it. Disabled as well none will be, whether or not the operator has seen it: it tells a
    worker only what the API server has taken, which takes nothing that it decided about an earlier version."""
    enabled: bool = True
    """What the user wants, which its phase follows a moment later."""
    stalled: bool = False
    """Needs a user, as far as the operator knows, which may still try it again: no worker is left that has not refused
    it. What a client takes for the last word is not said before it is `over`."""

    @classmethod
    def of(cls, spec: VideoJobSpec, known: VideoJobStatus | None) -> Self:
        """From the two halves of a VideoJob; None: its status cannot be read, and may say that a worker has it."""
        status = known or VideoJobStatus()
        return cls(
            phase=status.phase,
            single_pass=spec.single_pass,
            over=bool(status.finished) or _holds(status, "Failed"),
            scheduled_off=status.phase is Phase.DISABLED and status.reason == Reason.SCHEDULE,
            begun=_begun(status),
            untouched=known is not None and _untouched(known),
            enabled=spec.enabled,
            stalled=_holds(status, "Stalled"),
        )


def task_status(job: Standing, finish: FinishReason | None = None, *, open_log: bool = False) -> TaskStatus | None:
    """Status of a V task; None where V has no word for it.

    `finish`: the reason in its last chunk, once its results are closed; `open_log`: they are begun and not closed.
    """
    if finish is not None:
        return TASK_OF_FINISH[finish]
    if not job.enabled:
        # Where no worker had it, an open log is the gateway's own, which is just being closed.
        stopped = job.untouched or (job.phase is Phase.DISABLED and not open_log)
        return TaskStatus.CANCELLED if stopped else TaskStatus.CANCELLING
    match job.phase:
        case Phase.INPROGRESS | Phase.DISCONNECTED:
            return TaskStatus.RUNNING
        case Phase.COMPLETED:
            return TaskStatus.SUCCEEDED if job.over else None
        case Phase.INTERRUPTED:
            return _ended_task(job) if job.over else None
        case Phase.NOT_STARTED | Phase.MISCONFIGURED if job.over:
            return _ended_task(job)
        case Phase.DISABLED:
            return None if job.scheduled_off else TaskStatus.CANCELLED
        case Phase.AWAITING | Phase.STARTING | Phase.TOO_MANY_CAMERAS | Phase.NOT_STARTED | Phase.MISCONFIGURED:
            # A task that goes on elsewhere after its first chunks does not become pending again.
            return TaskStatus.RUNNING if job.begun else TaskStatus.PENDING


def stream_status(job: Standing) -> StreamStatus:
    """Status of an L stream as it is now."""
    match logged_status(job):
        case StreamStatus.RESTART | StreamStatus.HANDLER_LOST:
            # What its log tells of a moment; the stream itself waits.
            return StreamStatus.PENDING
        case status:
            return status


def logged_status(job: Standing) -> StreamStatus:
    """What the log of an L stream tells of the change into its phase."""
    match job.phase:
        case Phase.INPROGRESS:
            return StreamStatus.IN_PROGRESS
        case Phase.COMPLETED:
            return StreamStatus.DONE if job.over else StreamStatus.RESTART
        case Phase.INTERRUPTED:
            return StreamStatus.FAILURE if job.over else StreamStatus.RESTART
        case Phase.MISCONFIGURED:
            return StreamStatus.FAILURE if job.over or job.stalled else StreamStatus.PENDING
        case Phase.NOT_STARTED:
            return StreamStatus.FAILURE if job.over else StreamStatus.PENDING
        case Phase.DISCONNECTED:
            return StreamStatus.HANDLER_LOST
        case Phase.DISABLED:
            return StreamStatus.PAUSED if job.scheduled_off else StreamStatus.STOP
        case Phase.AWAITING | Phase.STARTING | Phase.TOO_MANY_CAMERAS:
            return StreamStatus.PENDING


def step_status(job: Standing) -> StepStatus | None:
    """Status of a P video's step; None where P has no word for it."""
    match job.phase:
        case Phase.COMPLETED:
            return StepStatus.COMPLETED if job.over else None
        case Phase.INTERRUPTED:
            return _ended_step(job) if job.over else None
        case Phase.NOT_STARTED | Phase.MISCONFIGURED:
            return _ended_step(job) if job.over else StepStatus.PROCESSING
        case Phase.DISABLED:
            return None if job.scheduled_off else StepStatus.FAILED
        case Phase.AWAITING | Phase.STARTING | Phase.INPROGRESS | Phase.TOO_MANY_CAMERAS | Phase.DISCONNECTED:
            return StepStatus.PROCESSING


def _ended_task(job: Standing) -> TaskStatus | None:
    return TaskStatus.FAILED if job.single_pass else None


def _ended_step(job: Standing) -> StepStatus | None:
    return StepStatus.FAILED if job.single_pass else None


def _holds(status: VideoJobStatus, condition: str) -> bool:
    return any(each.type == condition and each.status is ConditionStatus.TRUE for each in status.conditions)


def _untouched(status: VideoJobStatus) -> bool:
    return status.worker is None and not (status.epoch or status.run or status.spent_epoch)


def _begun(status: VideoJobStatus) -> bool:
    """The counters are those of the run, the first frame's time that of an epoch; history remembers both."""
    counted = status.statistics is not None and status.statistics.processed_frames > 0
    seen = any(Phase.INPROGRESS in (each.from_, each.to) for each in status.history or ())
    return counted or seen or status.first_frame_time is not None
