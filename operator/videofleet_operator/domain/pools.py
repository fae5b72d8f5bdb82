"""How many workers a pool has, and which pods are made and taken away for it."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from videofleet_api.names import worker_pod_name
from videofleet_operator.domain.isolation import slots_per_worker
from videofleet_operator.domain.model import Pool, Seconds
from videofleet_operator.domain.podview import LIVE, Pod, PodState, slots_of_pod
from videofleet_operator.domain.rollout import NO_UPDATE, Rollout, plan_rollout, stands_in_the_way, wakes

LASTING: Final[Seconds] = 600.0
"""A pod that lived so long is replaced at once when it ends."""
_FIRST_DELAY: Final[Seconds] = 1.0
_LONGEST_DELAY: Final[Seconds] = 300.0
_LARGEST_EXPONENT: Final = 9


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A pod to be made."""

    ordinal: int
    incarnation: int
    failures: int = 0
    """How often in a row the place has failed."""

    def name(self, pool: str) -> str:
        """The pod's name; deterministic, so that a retry adopts the pod and never doubles it."""
        return worker_pod_name(pool, self.ordinal, self.incarnation)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What should happen to a pool's pods. Make first, then take away: a failed pod remembers its incarnation."""

    desired: int
    create: tuple[Place, ...] = ()
    delete: tuple[str, ...] = ()
    """Names of pods."""
    wake: Seconds | None = None
    """When to look again even if nothing happens."""
    rollout: Rollout = NO_UPDATE


def plan_pool(pool: Pool, pods: Sequence[Pod], waiting: Iterable[int], now: Seconds) -> PoolPlan:
    """What to do for a pool. `waiting`: slots of each job that waits for room in it."""
    desired = desired_workers(pool, pods, waiting)
    # A failed pod keeps its place while its back-off lasts: a crash loop must not spread to further places.
    held = _held_places(pods, now)
    live = [pod for pod in pods if _counts(pod)]
    rollout = plan_rollout(pool, live, now)
    wanted = desired + rollout.surge
    superfluous = _superfluous(pool, live, wanted, now)
    places = _new_places(pods, held, wanted - len(live) - len(held), now)
    leaving = (*_replaced(pods, held), *_spent(pods), *superfluous, *_outdated(live, superfluous, now))
    delete = [pod.name for pod in leaving]
    return PoolPlan(desired, tuple(places), tuple(delete), _wake(pool, live, held, wanted, now), rollout)


def desired_workers(pool: Pool, pods: Sequence[Pod], waiting: Iterable[int]) -> int:
    """Workers that should be there: by floor, by the jobs that run, by those that wait, within the limits."""
    spec = pool.spec
    floor = min(spec.max_workers, max(spec.min_workers, spec.workers))
    capacity = slots_per_worker(pool)
    asked = list(waiting)
    live = [pod for pod in pods if pod.state in LIVE and not pod.draining]
    # What is free on a cordoned node is no help to those that wait, and a worker of few slots may be none to some.
    odd = (pod for pod in live if pod.used > 0 or (asked and (pod.cordoned or pod.room is not None)))
    free = [0 if pod.cordoned else slots_of_pod(pool, pod) - pod.used for pod in odd]
    return min(spec.max_workers, max(floor, _workers_for(free, asked, capacity)))


def restart_delay(failures: int) -> Seconds:
    """Seconds to wait before a pod that failed soon is replaced: 1 s x 2^failures before it, at most 300 s."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, _LARGEST_EXPONENT))


def _counts(pod: Pod) -> bool:
    """Whether it is a worker, or will be one, for the jobs that it has or that are to come."""
    return pod.state in LIVE and not pod.draining and (pod.used > 0 or not pod.spent)


def _spent(pods: Iterable[Pod]) -> list[Pod]:
    """Workers whose one job has left them, or that were emptied: the next ones need their accelerator at once."""
    return [pod for pod in pods if pod.state in LIVE and not pod.used and not _counts(pod)]


def _workers_for(left: Sequence[int], waiting: Iterable[int], capacity: int) -> int:
    """Workers that hold what runs and what waits: the largest first, each to the emptiest that is there already.

    `left`: free slots of those that are there.
    """
    free = [-slots for slots in left]
    heapq.heapify(free)
    count = len(free)
    for slots in sorted((each for each in waiting if each <= capacity), reverse=True):
        if free and -free[0] >= slots:
            heapq.heapreplace(free, free[0] + slots)
        else:
            heapq.heappush(free, slots - capacity)
            count += 1
    return count


def _held_places(pods: Sequence[Pod], now: Seconds) -> dict[int, Seconds]:
    """Ordinals that wait for their back-off, with its end."""
    newest = _newest(pods)
    ends = {pod.ordinal: _back_off_end(pod, now) for pod in newest.values() if pod.state is PodState.FAILED}
    return {ordinal: end for ordinal, end in ends.items() if end > now}


def _back_off_end(pod: Pod, now: Seconds) -> Seconds:
    ended = _ended(pod, now)
    return ended if _lasted(pod, now) else ended + restart_delay(pod.failures)


def _ended(pod: Pod, now: Seconds) -> Seconds:
    return now if pod.ended is None else min(pod.ended, now)


def _lasted(pod: Pod, now: Seconds) -> bool:
    return _ended(pod, now) - pod.created >= LASTING


def _newest(pods: Iterable[Pod]) -> dict[int, Pod]:
    """The highest incarnation of each place."""
    return {pod.ordinal: pod for pod in sorted(pods, key=lambda pod: pod.incarnation)}


def _new_places(pods: Sequence[Pod], held: Mapping[int, Seconds], missing: int, now: Seconds) -> list[Place]:
    """The lowest places that are empty. What is being deleted blocks nothing: its place gets the next incarnation."""
    newest = _newest(pods)
    taken = {pod.ordinal for pod in pods if _counts(pod)} | held.keys()
    places: list[Place] = []
    ordinal = 0
    while len(places) < missing:
        if ordinal not in taken:
            last = newest.get(ordinal)
            places.append(Place(ordinal, 0) if last is None else _after(last, now))
        ordinal += 1
    return places


def _after(last: Pod, now: Seconds) -> Place:
    """The place of a pod that is gone or going, filled anew."""
    return Place(last.ordinal, last.incarnation + 1, 0 if _lasted(last, now) else _failures(last))


def _failures(last: Pod) -> int:
    match last.state:
        case PodState.FAILED:
            return last.failures + 1
        case PodState.TERMINATING:
            # It may have failed, and its successor could not be made in time.
            return last.failures
        case PodState.STARTING | PodState.READY:
            return 0


def _replaced(pods: Sequence[Pod], held: Mapping[int, Seconds]) -> list[Pod]:
    """Failed pods whose place is filled anew, or is not needed any more."""
    newest = _newest(pods)
    failed = (pod for pod in pods if pod.state is PodState.FAILED)
    return [pod for pod in failed if pod.ordinal not in held or newest[pod.ordinal] is not pod]


def _superfluous(pool: Pool, live: Sequence[Pod], desired: int, now: Seconds) -> list[Pod]:
    """Idle workers above what is desired: those that never answered first, then the last places."""
    surplus = len(live) - desired
    if surplus <= 0:
        return []
    over = len(live) - max(pool.spec.max_workers, desired)
    idle = sorted((pod for pod in live if pod.used == 0), key=_dispensable)
    patient = [pod for pod in idle if _idle_until(pool, pod) <= now]
    # Above the maximum nobody waits for an idle worker.
    return patient[:surplus] if len(patient) >= over else idle[: max(over, 0)]


def _dispensable(pod: Pod) -> tuple[bool, bool, int]:
    return not pod.outdated, pod.state is PodState.READY, -pod.ordinal


def _idle_until(pool: Pool, pod: Pod) -> Seconds:
    since = pod.created if pod.idle_since is None else pod.idle_since
    return since + pool.spec.scale_down_delay


def _outdated(live: Sequence[Pod], leaving: Sequence[Pod], now: Seconds) -> list[Pod]:
    """One idle worker of an older template, while all others are ready; busy ones are emptied first."""
    if any(stands_in_the_way(pod, now) for pod in live) or leaving:
        return []
    old = sorted((pod for pod in live if pod.outdated and pod.used == 0), key=_dispensable)
    return old[:1]


def _wake(pool: Pool, live: Sequence[Pod], held: Mapping[int, Seconds], desired: int, now: Seconds) -> Seconds | None:
    times = [*held.values(), *wakes(live, now)]
    if len(live) > desired:
        times += [_idle_until(pool, pod) for pod in live if pod.used == 0]
    return min((time for time in times if time > now), default=None)
