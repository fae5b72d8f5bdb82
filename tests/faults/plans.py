"""A plan: a workload, what goes wrong meanwhile, and who runs. All of it is data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.proxy.faults import ProxyFault
from tests.faults.workloads import Workload

# What the stage does, at the k-th write of any operator


@dataclass(frozen=True, slots=True)
class LosePod:
    """The pod of the first worker with jobs is deleted."""

    write: int


@dataclass(frozen=True, slots=True)
class CrashWorker:
    """The process of the first worker with jobs comes back as another instance that runs nothing."""

    write: int


@dataclass(frozen=True, slots=True)
class SilenceWorker:
    """The first worker with jobs answers nothing for so many seconds, and goes on with its jobs."""

    write: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StealLease:
    """Somebody else takes the Lease and holds it for so many seconds without renewing it."""

    write: int
    seconds: int = 3


@dataclass(frozen=True, slots=True)
class Suspend:
    """SIGSTOP for the replica that wrote, SIGCONT so many seconds later."""

    write: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Partition:
    """The API server is out of reach of the replica that wrote; workers are not."""

    write: int
    seconds: float


StageFault = LosePod | CrashWorker | SilenceWorker | StealLease | Suspend | Partition


# What goes wrong between operator and workers


@dataclass(frozen=True, slots=True)
class CutEvents:
    """Event streams end after so many lines; `half`: in the middle of the next one."""

    lines: int
    half: bool = False
    times: int = 5


@dataclass(frozen=True, slots=True)
class DelayEvents:
    """Each line comes so much later."""

    seconds: float
    times: int = 1000


@dataclass(frozen=True, slots=True)
class RepeatEvents:
    """Each line comes twice."""

    times: int = 1000


@dataclass(frozen=True, slots=True)
class RefuseSet:
    """PUT of assignments is answered with an error. 409 with `above`: another leader's term, so much higher."""

    status: int
    above: int = 0
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class LoseSetAnswer:
    """The set is taken and the answer lost."""

    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class NeedAgain:
    """The worker says that it lacks the specs of jobs that it was just given."""

    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class OtherInstance:
    """The worker's process has been replaced when the set arrives: 409 with the new instance."""

    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class RefuseInfo:
    """GET /v1/info is answered with 503."""

    skip: int = 0
    times: int = 1


WorkerFault = (
    CutEvents | DelayEvents | RepeatEvents | RefuseSet | LoseSetAnswer | NeedAgain | OtherInstance | RefuseInfo
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One case. `replicas` operators; the second one's clock is ahead by `skew` seconds.

    `hasty`: the workload's acts follow one another without waiting for what each leads to.
    """

    name: str
    workload: Workload
    faults: tuple[ProxyFault, ...] = ()
    stage: tuple[StageFault, ...] = ()
    workers: tuple[WorkerFault, ...] = ()
    replicas: int = 1
    skew: float = 0.0
    hasty: bool = False
    quiet: float = 5.0
    lease: int = 5
    """Seconds; short, so that the next leader comes soon."""
    short: bool = field(default=False, kw_only=True)
    """Part of the selection that `make test` runs."""
    generated: bool = field(default=False, kw_only=True)
    """Made from a number: not every one of its faults finds its occasion."""
