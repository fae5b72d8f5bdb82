"""The values that decisions are made from and the values that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_api.videojob import VideoJobSpec
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.values import value

Seconds = float
"""Unix seconds for points in time, plain seconds for spans."""


@value(frozen=True, slots=True)
class Why:
    """A reason for machines and a sentence for people."""

    reason: Reason
    message: str


@value(frozen=True, slots=True)
class Assigned:
    """The worker in a job's record."""

    name: str
    """Pod name."""
    pool: str
    """NAMESPACE/NAME of the WorkerPool; the pod lies in that namespace."""
    id: str
    """uid of the pod."""
    instance: str
    """Process instance that the job was given to."""
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A worker process that failed a job and is passed over."""

    name: str
    """Pod name."""
    id: str
    """uid of the pod."""
    instance: str


@dataclass(frozen=True, slots=True)
class Move:
    """Another worker that gets a running job ready, to take it over with its first frame."""

    worker: Assigned
    epoch: int
    since: Seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error of a job."""

    code: str
    message: str
    time: Seconds


@value(frozen=True, slots=True)
class Record:
    """All that the lifecycle remembers of a job; every field is in its status."""

    phase: Phase = Phase.AWAITING
    reason: Reason | None = None
    message: str = ""
    observed_generation: int = 0
    run: int = 0
    epoch: int = 0
    transitions: int = 0
    since: Seconds = 0.0
    worker: Assigned | None = None
    move: Move | None = None
    spent: int = 0
    """The highest epoch of any move: no epoch is given out twice, also not one of a move that came to nothing."""
    next_move: Seconds | None = None
    """Not before this another worker is tried after a move that came to nothing."""
    attempt: int = 0
    suspicion: int = 0
    """Crashes of workers while the job ran there."""
    excluded: tuple[Excluded, ...] = ()
    """Workers that failed the job, the oldest first."""
    next_retry: Seconds | None = None
    spec_digest: str | None = None
    """What the current epoch was started with."""
    run_digest: str | None = None
    """What the current run is a run of."""
    settings: str | None = None
    """Digest of the settings that the worker has applied."""
    first_frame: Seconds | None = None
    """Of the current epoch."""
    completed: Seconds | None = None
    """When the run ended: by itself, by an edit of the spec, or because nothing tries it again. It is never continued:
    the next placement begins a new one."""
    finished: bool = False
    """A single-pass job that is over."""
    last_error: Failure | None = None
    restarts: int = 0

    @property
    def next_epoch(self) -> int:
        """The epoch of the next assignment."""
        return max(self.epoch, self.spent) + 1

    @property
    def held(self) -> tuple[Assigned, ...]:
        """Every worker on which the job takes room: two while it moves."""
        own = () if self.worker is None else (self.worker,)
        return own if self.move is None else (*own, self.move.worker)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a job's schedule lets it run."""

    inside: bool
    since: Seconds
    """The answer is known from here on."""
    until: Seconds | None
    """When it becomes the other one; None: never."""

    def holds(self, now: Seconds) -> bool:
        """Whether this is still the answer."""
        return self.since <= now and (self.until is None or now < self.until)


ALWAYS: Final = Opening(True, float("-inf"), None)
"""Of a job without a schedule."""


@dataclass(frozen=True, slots=True)
class Job:
    """A VideoJob as the operator sees it."""

    uid: str
    namespace: str
    name: str
    generation: int
    created: Seconds
    spec: VideoJobSpec
    """Its source's address may be left out: many jobs share a spec that differs in it alone."""
    record: Record
    digest: str | None = None
    """Digest of what a worker would be given, its settings apart; None while something for it is missing."""
    run_digest: str | None = None
    """Digest of what would be analysed."""
    settings: str | None = None
    """Digest of what a running worker takes over as it goes."""
    problem: Why | None = None
    """What is missing (a Secret, a valid spec)."""
    host: str | None = None
    """Of its source; never told, for the address may come from a Secret. None: it has none, or it is not known."""
    opening: Opening = ALWAYS
    """What its schedule says at the snapshot's time."""
    recorded: bool = False
    """Whether its source is a recorded file, see licence.recorded."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker pod, as the pod list and its own endpoint tell."""

    name: str
    pool: str
    """NAMESPACE/NAME."""
    id: str
    node: str | None
    capacity: int
    """Slots that it takes, unless its pool has fewer."""
    instance: str | None
    """None until it has been reached."""
    connected: bool
    """Its event stream is alive and its inventory has been read."""
    silent_for: Seconds
    """Since the last line of its event stream, or since this operator first dialled it while none has come. A worker
    that can never be reached again must grow silent too, or its jobs would wait for it for ever."""
    leaving: bool
    """The pod is being deleted or has ended: no new jobs, its jobs are lost when it is gone."""
    steps: frozenset[str] = frozenset()
    """Step names that it can run."""
    reports: Mapping[str, Report] = field(default_factory=dict)
    """Newest report of each job, by uid."""
    spent: bool = False
    """It takes no further job: its pool gives each job a pod of its own, and this one has had its job."""
    died: bool = False
    """Its process has ended by itself, and no other runs yet: the pod failed or its container waits for its restart.
    Never so for a pod that was deleted or evicted, or whose node is lost."""
    cordoned: bool = False
    """Its node takes no pods: no new jobs, and those that run stay."""
    drain: str = ""
    """Why its jobs are to go elsewhere, as the end of a sentence that begins with its name; empty: they stay."""
    outdated: bool = False
    """Made from an older template than its pool's: it gets new jobs only where no other has room."""
    limited: str = ""
    """Why it takes fewer slots than its pool says, as the end of a sentence that begins with its name."""
    replaced: bool = False
    """It drains, or is going, and its pool makes another one for the jobs that it has."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A WorkerPool."""

    uid: str
    namespace: str
    name: str
    generation: int
    spec: WorkerPoolSpec
    draining: bool = False
    """Its workers' jobs are to go to other pools, and no job comes."""

    @property
    def key(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Licence:
    """How many streams may run. `limit` None: no limit."""

    limit: int | None = None
    problem: Why | None = None
    """Not valid: nothing new starts, what runs goes on."""
    count_recorded: bool = True
    """Whether recorded files take a slot, too."""
    features: frozenset[str] = frozenset()
    """Steps that streams may use; none: every step."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast jobs may start at one source host: so many at once, then so many a second.

    The defaults bring a recorder with 64 channels back within 5 seconds, and ask it for ten new connections a second.
    """

    burst: int = 20
    per_second: float = 10.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Starts that are left for one source host."""

    tokens: float
    at: Seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one plan is made from."""

    now: Seconds
    jobs: Mapping[str, Job]
    """By uid."""
    pools: Mapping[str, Pool]
    """By NAMESPACE/NAME."""
    workers: Mapping[str, Worker]
    """By pod uid; a worker that is not here is gone."""
    licence: Licence = Licence()
    pace: Pace = Pace()
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    """By source host, as the last plan left them; a host that is not here has a full one."""
    starts: int | None = None
    """How many jobs may be given to workers by this plan; None: any number. A decision is to be written soon."""
    led_since: Seconds = 0.0
    """When this leader began: what was begun before was dated by another one's clock, which may go differently."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be written."""

    records: Mapping[str, Record]
    """New records, by uid; only those that differ."""
    wake: Seconds | None
    """When to plan again even if nothing happens: the next back-off, time-out or loss. Once records of a plan have been
    written there is always another plan: a record takes one edge a plan, and what one releases the next gives away."""
    waiting: Mapping[str, Why] = field(default_factory=dict)
    """Why each job that could start does not, by uid in the order of starting, with the counts of this moment."""
    expired: tuple[str, ...] = ()
    """Jobs to delete, by uid: they are over, and their time after that is too."""
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    """What the next snapshot should hold."""
