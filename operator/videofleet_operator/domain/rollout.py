"""Workers of an older template give way to new ones, one at a time and without a gap in any stream.

One worker more than usual is made; the streams of one old worker move to it, and that one is taken away; and so on.
Where the additional worker finds no node, one old worker is emptied onto the others if its streams fit there, which
makes room for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from videofleet_api.workerpool import DrainMode
from videofleet_operator.domain.model import Pool, Seconds
from videofleet_operator.domain.podview import Pod, PodState, slots_of_pod

PATIENCE: Final[Seconds] = 60.0
"""How long the additional worker may be without a node before the update goes on without it."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far an update is. All empty: every worker that has a job is made from the newest template."""

    surge: int = 0
    """Workers more than usual."""
    emptying: str = ""
    """Name of the old worker whose streams are to leave."""
    progress: str = ""
    """For people."""


NO_UPDATE: Final = Rollout()


def plan_rollout(pool: Pool, live: Sequence[Pod], now: Seconds) -> Rollout:
    """What the update of a pool needs now. `live`: pods that are workers or will be."""
    old = sorted((pod for pod in live if pod.outdated and pod.used), key=lambda pod: pod.ordinal)
    if not old:
        return NO_UPDATE
    first = old[0]
    done = f"{sum(not pod.outdated for pod in live)} of {len(live)} workers are of the newest template"
    if pool.spec.drain.mode is DrainMode.STOP:
        return Rollout(0, first.name, f"{done}; {first.name} stops its streams and is replaced")
    others = [pod for pod in live if pod is not first and pod.state is PodState.READY]
    if any(not pod.outdated and _free(pool, pod) for pod in others):
        return Rollout(1, first.name, f"{done}; streams move from {first.name}")
    if not any(_without_node(pod, now) for pod in live):
        return Rollout(1, "", f"{done}; another one is being made, to which streams of {first.name} will move")
    if first.used <= sum(_free(pool, pod) for pod in others):
        return Rollout(1, first.name, f"{done}; no node has room for another one, streams move from {first.name}")
    return Rollout(
        1,
        "",
        f"{done}; the update waits: no node has room for another one, and the {first.used} slots of {first.name} "
        "do not fit on the others",
    )


def wakes(live: Sequence[Pod], now: Seconds) -> list[Seconds]:
    """When patience with a new worker ends."""
    return [pod.created + PATIENCE for pod in live if pod.unscheduled and pod.created + PATIENCE > now]


def stands_in_the_way(pod: Pod, now: Seconds) -> bool:
    """Whether it is to be waited for before another old worker is taken away."""
    return pod.state is PodState.STARTING and not pod.outdated and not _without_node(pod, now)


def _without_node(pod: Pod, now: Seconds) -> bool:
    return pod.unscheduled and not pod.outdated and now >= pod.created + PATIENCE


def _free(pool: Pool, pod: Pod) -> int:
    return 0 if pod.spent or pod.cordoned else max(0, slots_of_pod(pool, pod) - pod.used)
