"""The closed set of facts that drive a job's lifecycle."""

from videofleet_api.codes import ErrorCode
from videofleet_operator.domain.model import Assigned, Excluded, Seconds, Why
from videofleet_operator.domain.values import value

# From the spec


@value(frozen=True, slots=True)
class Disabled:
    """`enabled: false`."""


@value(frozen=True, slots=True)
class OutsideSchedule:
    """`enabled: true`, and the schedule lets the job not run now."""

    message: str


@value(frozen=True, slots=True)
class Enabled:
    """`enabled: true`, and inside the schedule, where there is one."""


@value(frozen=True, slots=True)
class SpecChanged:
    """What a worker would be given now differs from what the current epoch was started with."""


@value(frozen=True, slots=True)
class RunOver:
    """What would be analysed is something else now."""


@value(frozen=True, slots=True)
class RunKept:
    """What would be analysed is again what the job's worker analyses."""


@value(frozen=True, slots=True)
class Evicted:
    """The job may not stay where it is."""

    why: Why


# From the placement


@value(frozen=True, slots=True)
class Placed:
    """A worker with room and a licence slot were found."""

    worker: Assigned
    digest: str
    """Of what the worker is given."""
    run_digest: str | None = None
    settings: str | None = None


@value(frozen=True, slots=True)
class NoPlace:
    """No worker can take the job now, or something that it needs is missing."""

    why: Why


@value(frozen=True, slots=True)
class Throttled:
    """There is room, but the source would be asked for too much."""

    why: Why


@value(frozen=True, slots=True)
class NoLicence:
    """A worker has room, but the licence has no slot or is not valid."""

    why: Why


@value(frozen=True, slots=True)
class Shed:
    """The licence's limit was lowered, and this stream has to give way."""

    why: Why


@value(frozen=True, slots=True)
class Readmitted:
    """Workers that failed the job are no longer passed over, except these."""

    excluded: tuple[Excluded, ...] = ()


# Of a move to another worker


@value(frozen=True, slots=True)
class MoveBegun:
    """A worker with room was found for a running job that has to leave its own."""

    worker: Assigned


@value(frozen=True, slots=True)
class MoveFailed:
    """The worker that was to take the job over cannot, or is lost."""

    blamed: bool = False
    """That worker may be the cause."""


@value(frozen=True, slots=True)
class MoveTakesOver:
    """The job's own worker is lost while another one gets it ready: that one goes on."""


# From the worker; all carry the epoch that they are about


@value(frozen=True, slots=True)
class Preparing:
    """The worker is still loading models, past the time in which a first frame was due."""

    epoch: int


@value(frozen=True, slots=True)
class Applied:
    """Frames are analysed with these settings now."""

    epoch: int
    settings: str


@value(frozen=True, slots=True)
class FirstFrame:
    """A frame has been processed."""

    epoch: int
    time: Seconds


@value(frozen=True, slots=True)
class Reconnecting:
    """The source is lost, and the worker is trying to get it back."""

    epoch: int
    message: str


@value(frozen=True, slots=True)
class Reconnected:
    """Frames are being processed again."""

    epoch: int


@value(frozen=True, slots=True)
class Ended:
    """The source's end was reached. Without a first frame it was empty."""

    epoch: int
    first_frame: Seconds | None


@value(frozen=True, slots=True)
class Failed:
    """An error stopped the job on its worker."""

    epoch: int
    code: ErrorCode
    message: str
    first_frame: Seconds | None


@value(frozen=True, slots=True)
class Refused:
    """The worker will not run the job as it is configured."""

    epoch: int
    code: ErrorCode
    message: str


@value(frozen=True, slots=True)
class Superseded:
    """Another epoch has taken the results over: the worker has stopped."""

    epoch: int


# About the worker


@value(frozen=True, slots=True)
class WorkerSilent:
    """Nothing has been heard from the worker for too long."""

    message: str


@value(frozen=True, slots=True)
class WorkerGone:
    """The worker's pod is gone, or another process runs in it."""

    message: str


@value(frozen=True, slots=True)
class WorkerCrashed:
    """The worker's process died by itself while it ran the job."""

    message: str


@value(frozen=True, slots=True)
class Convicted:
    """The job has crashed so many workers that it is not tried again."""


@value(frozen=True, slots=True)
class WorkerBack:
    """The same worker process answers again."""

    instance: str
    first_frame: Seconds | None
    """Of the job's current epoch, where the worker has reported one."""


# From the clock


@value(frozen=True, slots=True)
class StartTimedOut:
    """No first frame came in time."""

    message: str


@value(frozen=True, slots=True)
class StableRunning:
    """The job has run long enough for earlier failures not to count any more."""


@value(frozen=True, slots=True)
class Trusted:
    """The job has run so long that the crashes of its former workers were not its doing."""


@value(frozen=True, slots=True)
class RetryDue:
    """The back-off is over."""


@value(frozen=True, slots=True)
class ClockWentBack:
    """Times in the record lie further ahead than any wait may last."""


Fact = (
    Disabled
    | OutsideSchedule
    | Enabled
    | SpecChanged
    | RunOver
    | RunKept
    | Evicted
    | Placed
    | NoPlace
    | Throttled
    | NoLicence
    | Shed
    | Readmitted
    | MoveBegun
    | MoveFailed
    | MoveTakesOver
    | Preparing
    | Applied
    | FirstFrame
    | Reconnecting
    | Reconnected
    | Ended
    | Failed
    | Refused
    | Superseded
    | WorkerSilent
    | WorkerGone
    | WorkerCrashed
    | Convicted
    | WorkerBack
    | StartTimedOut
    | StableRunning
    | Trusted
    | RetryDue
    | ClockWentBack
)
