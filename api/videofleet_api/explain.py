"""What the leading operator answers about the plan of this moment: `GET /v1/explain`, `/v1/queue`, `/v1/top`.

Counts and places in the queue change with every plan, so they are asked for and never written into a status. Whoever
asks shows with uids which namespaces he can read: `/v1/explain/NAMESPACE/NAME?uid=UID` takes the job's own, the others
those of any VideoJob or WorkerPool (`?uid=...&uid=...`), each of which opens its namespace.
"""

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.phases import Phase


class Refused(Document):
    """Any answer but 200."""

    error: str
    leader: str | None = None
    """With 503: name of the replica that knows, where one leads."""


class Cause(Document):
    """One class of what holds a job back."""

    reason: str
    """A videofleet_api.codes.Reason."""
    count: int = Field(ge=1)
    """Workers or pools for which it holds; 1 where it is about neither."""
    message: str
    """For example: 2 workers full."""


class PoolOutlook(Document):
    """A pool as a job sees it."""

    pool: str
    """NAMESPACE/NAME."""
    refusal: str | None = None
    """Why the pool does not take the job, as the end of a sentence; None: it takes it."""
    workers: int = 0
    """Worker pods that there are."""
    held_back: dict[str, int] = Field(default_factory=dict)
    """Workers that cannot take the job now, by what they are: full, draining, not ready."""
    slots_used: int = 0
    slots_total: int = 0
    """Of workers that answer."""


class LicenceOutlook(Document):
    """How much of the licence is used. `limit` None: there is none."""

    used: int
    limit: int | None = None
    problem: str | None = None


class Explanation(Document):
    """Why a job does not run now."""

    namespace: str
    name: str
    phase: Phase
    waiting: bool
    """The job could start, and something holds it back."""
    causes: list[Cause] = Field(default_factory=list)
    """Everything that holds it back, what comes first first; empty unless it waits."""
    pools: list[PoolOutlook] = Field(default_factory=list)
    """Pools of the job's namespace and those that take jobs of it."""
    licence: LicenceOutlook
    position: int | None = None
    """Place among the jobs that wait for room or for the licence, from 1; None: more room would not start it."""
    queue: int = 0
    """How many jobs wait for room or for the licence."""
    summary: str
    """All of it in one line."""


class QueuedJob(Document):
    """A job that waits."""

    namespace: str
    name: str
    reason: str
    message: str
    position: int | None = None
    priority: int = 0


class Queue(Document):
    """Jobs that wait, in the order in which they will start."""

    length: int
    """How many jobs wait for room or for the licence, in all namespaces."""
    jobs: list[QueuedJob]


class PoolLoad(Document):
    """What a pool does now."""

    pool: str
    """NAMESPACE/NAME."""
    workers_ready: int
    workers: int
    slots_used: int
    slots_total: int
    jobs: int
    fps: float
    """Analysed frames a second, of all jobs together."""
    dropped: int
    """Frames dropped by the epochs that run now; what sampling leaves out is not among them."""
    restarts: int


class WorkerLoad(Document):
    """What a worker does now."""

    name: str
    pool: str
    """NAMESPACE/NAME; the pod lies in that namespace."""
    node: str | None = None
    ready: bool
    """It answers."""
    slots_used: int
    slots_total: int
    jobs: int
    fps: float
    dropped: int
    restarts: int


class JobLoad(Document):
    """What a job does now."""

    namespace: str
    name: str
    phase: Phase
    reason: str | None = None
    worker: str | None = None
    node: str | None = None
    fps: float | None = None
    source_fps: float | None = None
    dropped: int = 0
    restarts: int = 0


class Top(Document):
    """Live figures, as the workers told them last."""

    pools: list[PoolLoad]
    workers: list[WorkerLoad]
    jobs: list[JobLoad]
