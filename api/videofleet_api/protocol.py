"""What operator and worker say to each other. The operator dials; the worker never does."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from videofleet_api.codes import ErrorCode, OutputHealth, SourceHealth
from videofleet_api.finalize import Finalize
from videofleet_api.model import Document
from videofleet_api.outputs import ArchiveDetail
from videofleet_api.regions import Lines, PrivacyMasks, Zones
from videofleet_api.source import Range, Rotation, SourceKind, Transport
from videofleet_api.steps import Analytics
from videofleet_api.targets import JobOutputs
from videofleet_api.videojob import Sampling

MAX_COUNT: Final = 2**53
"""The largest whole number that every JSON reader takes exactly."""
MAX_RATE: Final = 1e6
"""Frames a second."""
MAX_TIME: Final = 4102444800
"""The end of 2099 in Unix seconds."""
MAX_CAPACITY: Final = 4096
_MAX_MESSAGE: Final = 1024


def _cut(message: str) -> str:
    """A message that is too long is still worth having: what it says first says most."""
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "\u2026"


# What one side says is bounded, so that no number of a faulty worker reaches a decision, a time or a status.
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Rate = Annotated[float, Field(ge=0, le=MAX_RATE, allow_inf_nan=False)]
Time = Annotated[float, Field(ge=0, le=MAX_TIME, allow_inf_nan=False)]
"""Unix seconds."""
Cause = Annotated[str, Field(max_length=64)]
Message = Annotated[str, AfterValidator(_cut)]


class JobSource(Document):
    """A source with what is needed to open it. Never logged: holds credentials."""

    url: str
    username: str | None = Field(None, repr=False)
    password: str | None = Field(None, repr=False)
    session_token: str | None = Field(None, repr=False)
    transport: Transport = Transport.AUTO
    kind: SourceKind = SourceKind.AUTO
    images: list[str] = Field(default_factory=list)
    """Pictures instead of a video; `url` is then the first one."""
    rotation: Rotation = Rotation.AUTO


class JobSpec(Document):
    """What a worker needs to run a job.

    The parameters and the `when` of its steps, its zones, lines and privacy masks, its outputs, and the size and the
    retention of its archive are its settings: they are changed while it runs. A change of anything else is a new epoch.
    """

    source: JobSource
    sampling: Sampling = Field(default_factory=Sampling)
    range: Range | None = None
    max_frames: int | None = None
    analytics: list[Analytics]
    zones: Zones = Field(default_factory=list)
    lines: Lines = Field(default_factory=list)
    privacy_masks: PrivacyMasks = Field(default_factory=list)
    single_pass: bool = False
    reconnect_window: float = 30
    restart_token: str | None = None
    """Another one is another run; it says nothing to the worker."""
    archive_enabled: bool = True
    archive_detail: ArchiveDetail | None = None
    """None: frames of a recorded source, tracks of a live one."""
    archive_max_bytes: int | None = None
    archive_retention: float | None = None
    archive_deletes: Literal[True] | None = None
    """The results go with the job. Noted when a run begins; an edit is noted by a `Finalize`, also of a job that does
    not run."""
    outputs: JobOutputs = Field(default_factory=JobOutputs)


class Entry(Document):
    """One job of a worker. Without `spec` it means: keep as it is."""

    uid: str
    namespace: str
    name: str
    run: int
    epoch: int
    digest: str
    settings: str = ""
    """Digest of the settings in `spec`. Another one in the same epoch is applied before the next frame."""
    takes_over: bool = False
    """Another worker runs the job until this epoch writes its first result."""
    leaves: bool = False
    """Another worker is about to take the job over, and waits for what is sealed here."""
    spec: JobSpec | None = None


class AssignmentSet(Document):
    """`PUT /v1/assignments`: the whole desired set. Ordered by (term, number); a lower pair is refused with 409."""

    term: Count
    number: Count
    instance: str
    entries: list[Entry]
    finalize: list[Finalize] = Field(default_factory=list)
    fleet: str = ""
    """Whose jobs these are: operators that share an archive judge only what their own workers have noted there."""


class AssignmentAnswer(Document):
    """200: taken. `need` lists the uids whose spec the worker lacks."""

    need: list[str] = Field(default_factory=list)


class AssignmentConflict(Document):
    """409: what the worker has instead."""

    term: Count
    number: Count
    instance: str
    message: Message


class ModelInfo(Document):
    """A model that a worker has."""

    name: str
    task: str
    digest: str


class GpuInfo(Document):
    """A GPU that a worker sees."""

    name: str
    memory_bytes: int


class CapacityHint(Document):
    """How many usual streams a worker finds that it holds: 1080p at 30 frames a second."""

    slots: int = Field(ge=1, le=MAX_CAPACITY)
    message: Message
    """What it was found by, in a few words for people."""


class WorkerInfo(Document):
    """`GET /v1/info`."""

    id: str
    instance: str
    version: str
    term: Count
    models: list[ModelInfo]
    steps: list[str]
    """Names that a job's steps may use on this worker."""
    provider: Literal["tensorrt", "cuda", "cpu"]
    fallback_reason: str | None = None
    picture_encoder: Literal["nvjpeg", "processor"] = "processor"
    """What makes JPEG of frames that stay on the GPU."""
    gpus: list[GpuInfo] = Field(default_factory=list)
    capacity: int = Field(ge=1, le=MAX_CAPACITY)
    """Slots that it was given."""
    hint: CapacityHint | None = None
    """Slots that it finds it has; None: it has not looked."""
    isolation: dict[str, bool] = Field(default_factory=dict)
    """What keeps decoders from each other and from all else, and whether this worker's kernel has it."""
    decoder_memory_bytes: Count | None = None
    """What each decoder may take of its own, and in the frames that it hands over."""


class JobState(StrEnum):
    """Where a job is on its worker."""

    PREPARING = "preparing"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    """Another epoch has taken the results over."""


TERMINAL = frozenset({JobState.ENDED, JobState.FAILED, JobState.REFUSED, JobState.SUPERSEDED})
"""A terminal fact stays in the inventory until a set omits the job."""


class JobProgress(Document):
    """Counters of one (uid, epoch); best effort."""

    decoded_frames: Count = 0
    processed_frames: Count = 0
    total_frames: Count | None = None
    dropped_frames: dict[Cause, Count] = Field(default_factory=dict, max_length=64)
    source_fps: Rate | None = None
    processed_fps: Rate | None = None
    objects_posted: Count | None = None
    objects_not_posted: Count | None = None
    """Best shots that a router has taken, and those that it has not; None without a router."""
    outputs: OutputHealth | None = None
    """How the receivers are; None without any."""
    outputs_message: Message | None = None
    last_frame_time: Time | None = None
    """When a frame was analysed last."""


class JobReport(Document):
    """The phase facts of one (uid, epoch)."""

    uid: str
    epoch: Count
    state: JobState
    settings: str | None = None
    """Digest of the settings that the newest frame was analysed with."""
    first_frame: bool = False
    first_frame_time: Time | None = None
    code: ErrorCode | None = None
    message: Message | None = None
    health: SourceHealth | None = None
    """Of a live source; None while nothing is known of it, and for recorded ones."""
    health_message: Message | None = None
    progress: JobProgress = Field(default_factory=JobProgress)


class Delivered(Document):
    """How the receivers of a job are that a `Finalize` was about."""

    health: OutputHealth
    message: Message
    objects_posted: Count | None = None
    """Best shots that its router has taken since a worker told of them last; None without a router."""


class Inventory(Document):
    """First line of the event stream, and again after a gap: everything assigned."""

    kind: Literal["inventory"] = "inventory"
    instance: str
    sequence: Count
    term: Count
    number: Count
    reports: list[JobReport]
    served: bool = False
    """Whether this process was ever given a job, also one that it has no more."""
    finalized: dict[str, Delivered | None] = Field(default_factory=dict)
    """Assigned `Finalize` that are done, by their keys; see `Finalized`."""


class JobEvent(Document):
    """One job changed: its report as it now is."""

    kind: Literal["event"] = "event"
    sequence: Count
    time: Time
    report: JobReport


class Heartbeat(Document):
    """Every 2 seconds."""

    kind: Literal["heartbeat"] = "heartbeat"
    sequence: Count
    time: Time


class Finalized(Document):
    """An assigned `Finalize` is done."""

    kind: Literal["finalized"] = "finalized"
    sequence: Count
    time: Time
    key: str
    delivered: Delivered | None = None
    """None: it was about no receivers."""


HEARTBEAT_SECONDS = 2.0
EventLine = Annotated[Inventory | JobEvent | Finalized | Heartbeat, Field(discriminator="kind")]
EVENT_LINE: TypeAdapter[Inventory | JobEvent | Finalized | Heartbeat] = TypeAdapter(EventLine)
"""Parses one NDJSON line of `GET /v1/events?after=instance:N`."""
