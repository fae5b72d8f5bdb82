"""What operator and worker say to each other. The operator dials; the worker never does."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from videofleet_api.codes import ErrorCode
from videofleet_api.model import Document
from videofleet_api.videojob import Analytics, Sampling, SourceKind, Transport


class JobSource(Document):
    """A source with what is needed to open it. Never logged: holds credentials."""

    url: str
    username: str | None = Field(None, repr=False)
    password: str | None = Field(None, repr=False)
    transport: Transport = Transport.AUTO
    kind: SourceKind = SourceKind.AUTO


class JobSpec(Document):
    """What a worker needs to run a job. Any change of it is a new epoch."""

    source: JobSource
    sampling: Sampling = Field(default_factory=Sampling)
    max_frames: int | None = None
    analytics: list[Analytics]
    single_pass: bool = False
    reconnect_window: float = 30
    archive_enabled: bool = True
    archive_max_bytes: int | None = None


class Entry(Document):
    """One job of a worker. Without `spec` it means: keep as it is."""

    uid: str
    namespace: str
    name: str
    run: int
    epoch: int
    digest: str
    spec: JobSpec | None = None


class AssignmentSet(Document):
    """`PUT /v1/assignments`: the whole desired set. Ordered by (term, number); a lower pair is refused with 409."""

    term: int
    number: int
    instance: str
    entries: list[Entry]


class AssignmentAnswer(Document):
    """200: taken. `need` lists the uids whose spec the worker lacks."""

    need: list[str] = Field(default_factory=list)


class AssignmentConflict(Document):
    """409: what the worker has instead."""

    term: int
    number: int
    instance: str
    message: str


class ModelInfo(Document):
    """A model that a worker has."""

    name: str
    task: str
    digest: str


class GpuInfo(Document):
    """A GPU that a worker sees."""

    name: str
    memory_bytes: int


class WorkerInfo(Document):
    """`GET /v1/info`."""

    id: str
    instance: str
    version: str
    term: int
    models: list[ModelInfo]
    steps: list[str]
    """Names that a job's steps may use on this worker."""
    provider: Literal["tensorrt", "cuda", "cpu"]
    fallback_reason: str | None = None
    gpus: list[GpuInfo] = Field(default_factory=list)
    capacity: int
    isolation: dict[str, bool] = Field(default_factory=dict)


class JobState(StrEnum):
    """Where a job is on its worker."""

    PREPARING = "preparing"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"
    REFUSED = "refused"


TERMINAL = frozenset({JobState.ENDED, JobState.FAILED, JobState.REFUSED})
"""A terminal fact stays in the inventory until a set omits the job."""


class JobProgress(Document):
    """Counters of one (uid, epoch); best effort."""

    decoded_frames: int = 0
    processed_frames: int = 0
    total_frames: int | None = None
    dropped_frames: dict[str, int] = Field(default_factory=dict)
    source_fps: float | None = None
    processed_fps: float | None = None


class JobReport(Document):
    """The phase facts of one (uid, epoch)."""

    uid: str
    epoch: int
    state: JobState
    first_frame: bool = False
    first_frame_time: float | None = None
    """Unix seconds."""
    code: ErrorCode | None = None
    message: str | None = None
    progress: JobProgress = Field(default_factory=JobProgress)


class Inventory(Document):
    """First line of the event stream, and again after a gap: everything assigned."""

    kind: Literal["inventory"] = "inventory"
    instance: str
    sequence: int
    term: int
    number: int
    reports: list[JobReport]


class JobEvent(Document):
    """One job changed: its report as it now is."""

    kind: Literal["event"] = "event"
    sequence: int
    time: float
    """Unix seconds."""
    report: JobReport


class Heartbeat(Document):
    """Every 2 seconds."""

    kind: Literal["heartbeat"] = "heartbeat"
    sequence: int
    time: float


HEARTBEAT_SECONDS = 2.0
EventLine = Annotated[Inventory | JobEvent | Heartbeat, Field(discriminator="kind")]
EVENT_LINE: TypeAdapter[Inventory | JobEvent | Heartbeat] = TypeAdapter(EventLine)
"""Parses one NDJSON line of `GET /v1/events?after=instance:N`."""
