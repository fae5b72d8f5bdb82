"""Closed sets of error codes (from workers) and reasons (in status, events and metrics)."""

from enum import StrEnum
from typing import Final


class ErrorCode(StrEnum):
    """Why a source or a job failed on a worker."""

    AUTH = "AUTH"
    NOT_FOUND = "NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    TLS = "TLS"
    CODEC = "CODEC"
    NETWORK = "NETWORK"
    STALLED = "STALLED"
    UNSUPPORTED = "UNSUPPORTED"
    FORBIDDEN = "FORBIDDEN"
    EMPTY = "EMPTY"
    BAD_PARAMETER = "BAD_PARAMETER"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    INTERNAL = "INTERNAL"


CONFIGURATION_ERRORS: Final = frozenset(
    {ErrorCode.UNSUPPORTED, ErrorCode.CODEC, ErrorCode.BAD_PARAMETER, ErrorCode.UNKNOWN_MODEL}
)
"""Before the first frame these mean that the job cannot run as it is written: MISCONFIGURED."""


class Reason(StrEnum):
    """`status.reason`, also the reason of conditions and events."""

    # Waiting
    PENDING = "Pending"
    NO_MATCHING_POOL = "NoMatchingPool"
    NO_READY_WORKER = "NoReadyWorker"
    WORKERS_FULL = "WorkersFull"
    NEVER_FITS = "NeverFits"
    WORKERS_EXCLUDED = "WorkersExcluded"
    NO_EMPTY_WORKER = "NoEmptyWorker"
    SOURCE_THROTTLED = "SourceThrottled"
    MODEL_MISSING = "ModelMissing"
    SECRET_MISSING = "SecretMissing"
    LICENCE_EXHAUSTED = "LicenceExhausted"
    LICENCE_INVALID = "LicenceInvalid"
    LICENCE_LACKS_FEATURE = "LicenceLacksFeature"
    SPEC_CHANGED = "SpecChanged"
    ENABLED = "Enabled"
    RESTARTING = "Restarting"
    SHED = "Shed"
    PREEMPTED = "Preempted"
    NAMESPACE_SHARE_USED = "NamespaceShareUsed"
    DRAINING = "Draining"
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_TIME_ZONE = "UnknownTimeZone"
    # Running
    ASSIGNED = "Assigned"
    PREPARING = "Preparing"
    RUNNING = "Running"
    RECONNECTING = "Reconnecting"
    # Lost
    WORKER_SILENT = "WorkerSilent"
    WORKER_GONE = "WorkerGone"
    WORKER_CRASHED = "WorkerCrashed"
    # Over
    ENDED = "Ended"
    DISABLED = "Disabled"
    SCHEDULE = "Schedule"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    START_TIMEOUT = "StartTimeout"
    SUSPECTED_CRASH = "SuspectedCrash"
    # Failed, one for each error code
    SOURCE_AUTH = "SourceAuth"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_TIMEOUT = "SourceTimeout"
    SOURCE_TLS = "SourceTls"
    SOURCE_CODEC = "SourceCodec"
    SOURCE_NETWORK = "SourceNetwork"
    SOURCE_STALLED = "SourceStalled"
    SOURCE_UNSUPPORTED = "SourceUnsupported"
    SOURCE_FORBIDDEN = "SourceForbidden"
    SOURCE_EMPTY = "SourceEmpty"
    BAD_PARAMETER = "BadParameter"
    UNKNOWN_MODEL = "UnknownModel"
    WORKER_ERROR = "WorkerError"


class DropCause(StrEnum):
    """Why a frame was not analysed: the keys of `status.statistics.droppedFrames`, and the metric's label `cause`.

    A frame that was offered is analysed or counted under one of these. Frames of recorded sources are dropped by the
    first two alone.
    """

    SAMPLING = "sampling"
    """The job's sampling leaves it out."""
    DECODE_ERROR = "decode_error"
    """It is damaged, or what was to be decoded for it is."""
    STALE = "stale"
    """When the worker came to it, before or behind the decoder, it was older than half a second."""
    NO_SLOT = "no_slot"
    """All memory for frames was in use."""
    BUSY = "busy"
    """A newer one came while it waited for its turn at the models."""


class SourceHealth(StrEnum):
    """How a live source that delivers frames is, also the reason of the condition SourceHealthy and of its Events."""

    HEALTHY = "Healthy"
    FROZEN = "Frozen"
    BLACK = "Black"
    LOW_FPS = "LowFps"


class OutputHealth(StrEnum):
    """How the receivers of a job's results are, also the reason of the condition OutputsDelivered."""

    DELIVERED = "Delivered"
    WAITING = "Waiting"
    """A receiver does not take what it is sent; it is tried again."""
    GIVEN_UP = "GivenUp"
    """What was for a receiver last was given up."""


REASON_OF_ERROR: Final[dict[ErrorCode, Reason]] = {
    ErrorCode.AUTH: Reason.SOURCE_AUTH,
    ErrorCode.NOT_FOUND: Reason.SOURCE_NOT_FOUND,
    ErrorCode.TIMEOUT: Reason.SOURCE_TIMEOUT,
    ErrorCode.TLS: Reason.SOURCE_TLS,
    ErrorCode.CODEC: Reason.SOURCE_CODEC,
    ErrorCode.NETWORK: Reason.SOURCE_NETWORK,
    ErrorCode.STALLED: Reason.SOURCE_STALLED,
    ErrorCode.UNSUPPORTED: Reason.SOURCE_UNSUPPORTED,
    ErrorCode.FORBIDDEN: Reason.SOURCE_FORBIDDEN,
    ErrorCode.EMPTY: Reason.SOURCE_EMPTY,
    ErrorCode.BAD_PARAMETER: Reason.BAD_PARAMETER,
    ErrorCode.UNKNOWN_MODEL: Reason.UNKNOWN_MODEL,
    ErrorCode.INTERNAL: Reason.WORKER_ERROR,
}
